//! What holds of a path, whatever its bytes: the rules of the parser said once more in plain terms,
//! and what the rest of the code relies on when it hands a part of a path to the kernel.

#![allow(clippy::unwrap_used)]

use std::ffi::CString;

use cocalc_openat2::path::{Leaf, NulByte, Refused, RelPath, Spelling, UserPath};
use proptest::collection::vec;
use proptest::prelude::*;

/// `PATH_MAX` less the final NUL.
const LONGEST: usize = 4095;

/// Bytes of every kind, but mostly those that paths are made of.
fn path_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => Just(b"/".to_vec()),
        3 => Just(b".".to_vec()),
        1 => Just(b"..".to_vec()),
        4 => Just(b"a".to_vec()),
        1 => Just(b"...".to_vec()),
        2 => vec(1..=255_u8, 1..4),
    ];
    let long = (LONGEST - 3..LONGEST + 4, vec(0..LONGEST - 4, 0..8));
    let long = long.prop_map(|(length, slashes)| {
        let is_slash = |i| slashes.contains(&i);
        (0..length)
            .map(|i| if is_slash(i) { b'/' } else { b'a' })
            .collect()
    });
    prop_oneof![
        16 => vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        2 => vec(1..=255_u8, 0..64),
        1 => long,
        1 => (0..2 * LONGEST).prop_map(|length| b"/".repeat(length)),
        1 => (0..200_usize).prop_map(|times| b"a/".repeat(times)),
    ]
}

fn user_path(bytes: &[u8]) -> UserPath {
    UserPath::new(bytes.to_vec()).unwrap()
}

/// The names in a path.
fn names(bytes: &[u8]) -> Vec<&[u8]> {
    let all = bytes.split(|&byte| byte == b'/');
    all.filter(|name| !name.is_empty() && *name != b".")
        .collect()
}

/// How a path ends behind its last name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Name,
    Slash,
    Dot,
}

fn ending(bytes: &[u8]) -> Ending {
    let mut components = bytes.split(|&byte| byte == b'/');
    let last = components.rfind(|component| !component.is_empty());
    match last {
        Some(b".") => Ending::Dot,
        _ if ends_as_directory(bytes) => Ending::Slash,
        _ => Ending::Name,
    }
}

/// Whether a path says that what it leads to is a directory.
fn ends_as_directory(bytes: &[u8]) -> bool {
    matches!(
        bytes.split(|&byte| byte == b'/').next_back(),
        Some(b"" | b".")
    )
}

fn leaves_the_root(bytes: &[u8]) -> bool {
    bytes.starts_with(b"/") || names(bytes).contains(&&b".."[..])
}

/// Holds all that is promised of a path that was let through, for the names it was made of.
fn assert_is(path: &RelPath<'_>, names: &[&[u8]], ending: Ending) {
    let behind: &[u8] = match ending {
        Ending::Name => b"",
        Ending::Slash => b"/",
        Ending::Dot => b"/.",
    };
    let whole = match names {
        [] => b".".to_vec(),
        _ => [&names.join(&b'/'), behind].concat(),
    };
    assert_eq!(path.whole().to_bytes(), whole);
    assert_eq!(path.wants_directory(), ending != Ending::Name);

    // A path that ends in a dot names the directory, and no entry of it.
    let (last, above) = match (ending, names.split_last()) {
        (Ending::Dot, _) | (_, None) => (None, names),
        (_, Some((last, above))) => (Some(*last), above),
    };
    assert_eq!(path.has_leaf(), last.is_some());
    let parent = (!above.is_empty()).then(|| above.join(&b'/'));
    assert_eq!(path.parent(), parent.as_deref());

    let last = last.map(|last| CString::new(last).unwrap());
    // There is no other way to a leaf than this check: not empty, no `.`, no `..`, no slash.
    let leaf = last.as_deref().and_then(Leaf::listed);
    assert_eq!(leaf.is_some(), last.is_some());
    assert_eq!(path.clone().into_leaf(), leaf);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn a_path_is_refused_if_it_is_empty_leaves_the_root_or_is_too_long_and_else_let_through(
        bytes in path_bytes(),
    ) {
        let path = user_path(&bytes);
        prop_assert_eq!(path.as_bytes(), &bytes);
        let refused = RelPath::parse(&path, Spelling::NamesOnly).err();
        if bytes.is_empty() {
            prop_assert_eq!(refused, Some(Refused::Empty));
        } else if leaves_the_root(&bytes) {
            prop_assert_eq!(refused, Some(Refused::Outside));
        } else if names(&bytes).join(&b'/').len() > LONGEST {
            prop_assert_eq!(refused, Some(Refused::TooLong));
        } else {
            prop_assert_eq!(refused, None);
        }
    }

    #[test]
    fn what_comes_out_has_the_names_that_went_in_and_nothing_that_could_be_walked_otherwise(
        bytes in path_bytes(),
    ) {
        let path = user_path(&bytes);
        let Ok(parsed) = RelPath::parse(&path, Spelling::NamesOnly) else { return Ok(()) };
        assert_is(&parsed, &names(&bytes), ending(&bytes));
    }

    #[test]
    fn a_clean_path_is_parsed_to_itself(bytes in path_bytes()) {
        let path = user_path(&bytes);
        let Ok(parsed) = RelPath::parse(&path, Spelling::NamesOnly) else { return Ok(()) };
        let again = user_path(parsed.whole().to_bytes());
        prop_assert_eq!(RelPath::parse(&again, Spelling::NamesOnly), Ok(parsed));
    }

    #[test]
    fn prefixes_grow_by_one_name_from_the_first_to_the_whole(bytes in path_bytes()) {
        let path = user_path(&bytes);
        let Ok(parsed) = RelPath::parse(&path, Spelling::NamesOnly) else { return Ok(()) };
        let names = names(&bytes);
        let prefixes: Vec<RelPath<'_>> = parsed.prefixes().collect();
        prop_assert_eq!(prefixes.len(), names.len());
        for (i, prefix) in prefixes.iter().enumerate() {
            let is_whole = i + 1 == names.len();
            let ending = match !is_whole || parsed.wants_directory() {
                true => Ending::Slash,
                false => Ending::Name,
            };
            assert_is(prefix, &names[..=i], ending);
        }
        if let Some(last) = prefixes.last() && ending(&bytes) != Ending::Dot {
            prop_assert_eq!(last, &parsed);
        }
    }

    #[test]
    fn bytes_with_a_nul_are_no_path(before in path_bytes(), behind in path_bytes()) {
        prop_assert_eq!(UserPath::new([before, vec![0], behind].concat()), Err(NulByte));
    }

    #[test]
    fn a_listed_name_is_a_leaf_unless_the_kernel_would_walk_it(bytes in path_bytes()) {
        let name = CString::new(bytes.clone())?;
        let is_one_name = !bytes.contains(&b'/') && !matches!(&bytes[..], b"" | b"." | b"..");
        prop_assert_eq!(Leaf::listed(&name).is_some(), is_one_name);
    }
}
