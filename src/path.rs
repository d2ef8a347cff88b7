//! From the bytes a caller gave to a path that may be resolved: decided here, once.
//!
//! [`UserPath`] is what the caller gave. No system call takes one. [`RelPath`] is what the parser
//! let through: relative, without `..`, cleaned of `.` and of repeated slashes. [`Leaf`] is one
//! name without a slash: the only kind of name that a `*at` call is ever given.

use std::borrow::Cow;
use std::ffi::{CStr, CString};

use rustix::io::Errno;

/// A path as the caller gave it: any bytes but NUL. It is for errors to quote and for
/// [`RelPath::parse`] to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserPath(CString);

/// The bytes have a NUL among them, so they are no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NulByte;

/// Why a path may not be resolved beneath a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It names nothing.
    Empty,
    /// It is absolute, or has a `..`.
    Outside,
    /// It is longer than the kernel takes.
    TooLong,
}

/// What a path may be spelled with, beside names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Nothing: `..` and a leading slash are refused.
    NamesOnly,
    /// `..` is left to the kernel, which knows where it leads; a leading slash is refused.
    Upwards,
    /// `..` is left to the kernel, and a leading slash means the root.
    UpwardsAndAbsolute,
}

/// The longest path that the kernel takes, in bytes: `PATH_MAX` less the final NUL.
pub(crate) const LONGEST: usize = 4095;

/// The longest spelling of a path, in bytes: with what is dropped from it, such as `./`. The binding copies
/// hardly more of what a caller passes.
pub(crate) const LONGEST_SPELLING: usize = 1 << 16;

impl UserPath {
    /// Takes `bytes` as a path.
    pub fn new(bytes: Vec<u8>) -> Result<Self, NulByte> {
        CString::new(bytes).map(Self).map_err(|_| NulByte)
    }

    /// What the caller gave.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The bytes for a call that stores or trusts them and does not walk them beneath a root: the
    /// target of a new symlink, the host path of a root.
    pub(crate) fn as_verbatim(&self) -> &CStr {
        &self.0
    }

    /// This path with more characters behind it.
    pub(crate) fn followed_by(&self, more: &[u8]) -> Result<Self, NulByte> {
        Self::new([self.as_bytes(), more].concat())
    }

    /// The path of `leaf` in the directory that this path is in.
    pub(crate) fn beside(&self, leaf: &Leaf<'_>) -> Result<Self, NulByte> {
        let bytes = self.as_bytes();
        let end = bytes.iter().rposition(|&byte| byte != b'/');
        let bytes = bytes.get(..=end.unwrap_or(0)).unwrap_or(bytes);
        let slash = bytes.iter().rposition(|&byte| byte == b'/');
        let above = bytes.get(..slash.map_or(0, |slash| slash + 1));
        Self::new([above.unwrap_or_default(), leaf.as_c_str().to_bytes()].concat())
    }

    /// The path of `name` in the directory of this path, as an error names it.
    pub(crate) fn join(&self, name: &[u8]) -> Vec<u8> {
        let mut joined = self.as_bytes().to_vec();
        while joined.ends_with(b"/") {
            joined.pop();
        }
        if joined == b"." {
            return name.to_vec();
        }
        joined.push(b'/');
        joined.extend_from_slice(name);
        joined
    }
}

/// One name in a directory: not empty, not `.`, not `..`, no slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf<'p>(Cow<'p, CStr>);

impl<'p> Leaf<'p> {
    /// A name that the kernel listed; `None` for `.` and `..`.
    pub fn listed(name: &'p CStr) -> Option<Self> {
        match name.to_bytes() {
            b"" | b"." | b".." => None,
            name if name.contains(&b'/') => None,
            _ => Some(Self(Cow::Borrowed(name))),
        }
    }

    /// A name for something that gets its own later: hidden, and short enough for any file system.
    pub(crate) fn temporary(random: [u8; 12]) -> Result<Leaf<'static>, Errno> {
        let name = [b".openat2-", &random[..]].concat();
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        Ok(Leaf(Cow::Owned(name)))
    }

    /// This name, for whoever keeps it longer than the path.
    pub(crate) fn into_owned(self) -> Leaf<'static> {
        Leaf(Cow::Owned(self.0.into_owned()))
    }

    /// The name, for a `*at` call.
    pub(crate) fn as_c_str(&self) -> &CStr {
        &self.0
    }
}

/// A path that may be resolved beneath a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelPath<'p> {
    /// The components with one slash between them; empty for the root itself.
    clean: Cow<'p, CStr>,
    /// Where the last component starts.
    leaf_at: usize,
    /// Whether the caller's spelling says that the last component is a directory.
    wants_directory: bool,
    /// Whether the path ends in a `.` behind a name: it names that directory, and no entry of it.
    ends_in_dot: bool,
}

/// How a path ends that has no last name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unnamed {
    /// It is the root itself, spelled without any name.
    Root,
    /// It ends in `.`, behind a name.
    Dot,
    /// It ends in `..`.
    DotDot,
}

impl<'p> RelPath<'p> {
    /// Parses what the caller gave.
    pub fn parse(path: &'p UserPath, spelling: Spelling) -> Result<Self, Refused> {
        let given = path.as_bytes();
        if given.is_empty() {
            return Err(Refused::Empty);
        }
        if given.starts_with(b"/") && spelling != Spelling::UpwardsAndAbsolute {
            return Err(Refused::Outside);
        }
        let mut is_clean = true;
        let mut last: &[u8] = b"";
        let mut ends_in_dot = false;
        for component in given.split(|&byte| byte == b'/') {
            match component {
                b".." if spelling == Spelling::NamesOnly => return Err(Refused::Outside),
                b"" | b"." => is_clean = false,
                _ => {}
            }
            ends_in_dot = component == b"." || component.is_empty() && ends_in_dot;
            last = component;
        }
        let (clean, leaf_at) = if is_clean {
            (Cow::Borrowed(path.0.as_c_str()), given.len() - last.len())
        } else {
            let clean = cleaned(given);
            let slash = clean.as_bytes().iter().rposition(|&byte| byte == b'/');
            (Cow::Owned(clean), slash.map_or(0, |slash| slash + 1))
        };
        if clean.count_bytes() > LONGEST || given.len() > LONGEST_SPELLING {
            return Err(Refused::TooLong);
        }
        Ok(Self {
            ends_in_dot: ends_in_dot && !clean.is_empty(),
            clean,
            leaf_at,
            wants_directory: matches!(last, b"" | b"." | b".."),
        })
    }

    /// Whether the caller's spelling (a trailing slash, or `.`) says that this is a directory.
    pub fn wants_directory(&self) -> bool {
        self.wants_directory
    }

    /// The components with one slash between them; empty for the root itself.
    pub fn clean(&self) -> &[u8] {
        self.clean.to_bytes()
    }

    /// Whether this is the root itself, spelled without any name.
    pub fn is_root(&self) -> bool {
        self.clean.is_empty()
    }

    /// How the path ends, if it has no last name.
    pub fn unnamed(&self) -> Option<Unnamed> {
        match self.clean.to_bytes().get(self.leaf_at..) {
            None | Some(b"") => Some(Unnamed::Root),
            // What that leads to is known to the kernel alone.
            Some(b"..") => Some(Unnamed::DotDot),
            Some(_) if self.ends_in_dot => Some(Unnamed::Dot),
            Some(_) => None,
        }
    }

    /// Whether the last component is a name.
    pub fn has_leaf(&self) -> bool {
        self.unnamed().is_none()
    }

    /// The directory that the last component is looked up in: `None` where that is the root itself.
    pub fn parent(&self) -> Option<&[u8]> {
        if self.ends_in_dot {
            return Some(self.clean.to_bytes());
        }
        let end = self.leaf_at.checked_sub(1)?;
        self.clean.to_bytes().get(..end)
    }

    /// The last component, if it [is a name](Self::has_leaf).
    pub fn into_leaf(self) -> Option<Leaf<'p>> {
        if !self.has_leaf() {
            return None;
        }
        Some(Leaf(match self.clean {
            Cow::Borrowed(clean) => Cow::Borrowed(&clean[self.leaf_at..]),
            Cow::Owned(clean) => Cow::Owned(clean.as_c_str()[self.leaf_at..].to_owned()),
        }))
    }

    /// The whole path, with the trailing slash or dot if it had one: for the lookup in
    /// [`crate::resolve`], and nothing else.
    pub fn whole(&self) -> Cow<'_, CStr> {
        match (self.clean.to_bytes(), self.wants_directory) {
            (b"", _) => Cow::Borrowed(c"."),
            (_, false) => Cow::Borrowed(&self.clean),
            // The kernel asks for permission to search the directory that a dot is in.
            (clean, true) if self.ends_in_dot => Cow::Owned(c_string([clean, b"/."].concat())),
            (clean, true) => Cow::Owned(c_string([clean, b"/"].concat())),
        }
    }

    /// The same, whose last dot is dropped: the directory itself, which need not be searched for that.
    pub fn without_dot(self) -> Self {
        Self {
            ends_in_dot: false,
            ..self
        }
    }

    /// Every leading part of the path that ends in a component, shortest first and the whole path
    /// last: `a/b/c` gives `a`, `a/b`, `a/b/c`.
    pub fn prefixes(&self) -> impl DoubleEndedIterator<Item = RelPath<'_>> {
        let clean = self.clean.to_bytes();
        let ends = (1..=clean.len()).filter(|&end| end == clean.len() || clean[end] == b'/');
        ends.map(|end| {
            let part = &clean[..end];
            let slash = part.iter().rposition(|&byte| byte == b'/');
            RelPath {
                clean: Cow::Owned(c_string(part.to_vec())),
                leaf_at: slash.map_or(0, |slash| slash + 1),
                wants_directory: end < clean.len() || self.wants_directory,
                ends_in_dot: false,
            }
        })
    }
}

fn cleaned(given: &[u8]) -> CString {
    let mut clean = Vec::with_capacity(given.len());
    for component in given.split(|&byte| byte == b'/') {
        if component.is_empty() || component == b"." {
            continue;
        }
        if !clean.is_empty() {
            clean.push(b'/');
        }
        clean.extend_from_slice(component);
    }
    c_string(clean)
}

/// `bytes` come from a [`UserPath`], so there is no NUL to stop at; if there were, the path would
/// end there, for the kernel as for us.
fn c_string(mut bytes: Vec<u8>) -> CString {
    bytes.push(0);
    match CStr::from_bytes_until_nul(&bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => CString::default(),
    }
}

#[cfg(test)]
pub(crate) fn user_path(text: &str) -> UserPath {
    #[allow(clippy::unwrap_used)]
    UserPath::new(text.as_bytes().to_vec())
        .map_err(|_| text)
        .unwrap()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The parent, the leaf, and what the lookup would get for the whole.
    fn parts(text: &str) -> (Option<String>, Option<String>, String) {
        parts_with(text, Spelling::NamesOnly)
    }

    fn parts_with(text: &str, spelling: Spelling) -> (Option<String>, Option<String>, String) {
        let path = user_path(text);
        let parsed = RelPath::parse(&path, spelling).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (
            parsed.parent().map(text),
            parsed
                .clone()
                .into_leaf()
                .map(|leaf| text(leaf.as_c_str().to_bytes())),
            text(parsed.whole().to_bytes()),
        )
    }

    macro_rules! parses {
        ($($name:ident: $given:expr => $parent:expr, $leaf:expr, $whole:expr;)*) => {$(
            #[test]
            fn $name() {
                let (parent, leaf, whole) = parts($given);
                let expected: (Option<&str>, Option<&str>) = ($parent, $leaf);
                assert_eq!((parent.as_deref(), leaf.as_deref()), expected);
                assert_eq!(whole, $whole);
            }
        )*};
    }

    parses! {
        one_component: "a" => None, Some("a"), "a";
        two_components: "a/b" => Some("a"), Some("b"), "a/b";
        three_components: "a/b/c" => Some("a/b"), Some("c"), "a/b/c";
        leading_dot: "./a" => None, Some("a"), "a";
        inner_dot: "a/./b" => Some("a"), Some("b"), "a/b";
        repeated_slashes: "a///b" => Some("a"), Some("b"), "a/b";
        trailing_slash: "a/b/" => Some("a"), Some("b"), "a/b/";
        trailing_slashes: "a//" => None, Some("a"), "a/";
        trailing_dot: "a/." => Some("a"), None, "a/.";
        trailing_dot_slash: "a/b/.//" => Some("a/b"), None, "a/b/.";
        trailing_dots: "a/././" => Some("a"), None, "a/.";
        dot: "." => None, None, ".";
        dot_slash: "./" => None, None, ".";
        dots_and_slashes: ".//./." => None, None, ".";
        three_dots_are_a_name: ".../..a" => Some("..."), Some("..a"), ".../..a";
        spaces_are_a_name: " " => None, Some(" "), " ";
    }

    macro_rules! refuses {
        ($($name:ident: $given:expr => $reason:expr;)*) => {$(
            #[test]
            fn $name() {
                let path = user_path($given);
                assert_eq!(RelPath::parse(&path, Spelling::NamesOnly), Err($reason));
            }
        )*};
    }

    refuses! {
        empty: "" => Refused::Empty;
        absolute: "/a" => Refused::Outside;
        slash: "/" => Refused::Outside;
        slashes: "//" => Refused::Outside;
        dotdot: ".." => Refused::Outside;
        dotdot_slash: "../" => Refused::Outside;
        dotdot_dot: "../." => Refused::Outside;
        dotdot_first: "../a" => Refused::Outside;
        dotdot_that_stays_inside: "a/../b" => Refused::Outside;
        dotdot_last: "a/.." => Refused::Outside;
        dotdot_last_slash: "a/../" => Refused::Outside;
        dotdot_last_dot: "a/../." => Refused::Outside;
        dotdot_behind_a_dot: "./.." => Refused::Outside;
    }

    #[test]
    fn upwards_is_left_to_the_kernel_where_it_may_be_spelled() {
        let parts = |text| parts_with(text, Spelling::Upwards);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            parts("a/../b"),
            (some("a/.."), some("b"), "a/../b".to_owned())
        );
        assert_eq!(parts("a/.."), (some("a"), None, "a/../".to_owned()));
        assert_eq!(parts("../"), (None, None, "../".to_owned()));
        assert_eq!(
            parts("a//.././b"),
            (some("a/.."), some("b"), "a/../b".to_owned())
        );
        let absolute = user_path("/a");
        assert_eq!(
            RelPath::parse(&absolute, Spelling::Upwards),
            Err(Refused::Outside)
        );
    }

    #[test]
    fn an_absolute_path_starts_at_the_root_where_it_may_be_spelled() {
        let parts = |text| parts_with(text, Spelling::UpwardsAndAbsolute);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parts("/a/b"), (some("a"), some("b"), "a/b".to_owned()));
        assert_eq!(parts("//a/"), (None, some("a"), "a/".to_owned()));
        assert_eq!(parts("/"), (None, None, ".".to_owned()));
        assert_eq!(parts("/.."), (None, None, "../".to_owned()));
    }

    #[test]
    fn what_is_left_after_cleaning_may_be_as_long_as_the_kernel_takes() {
        let longest = user_path(&format!("{}{}", "./".repeat(5000), "a".repeat(LONGEST)));
        assert!(RelPath::parse(&longest, Spelling::NamesOnly).is_ok());
        let longer = user_path(&"a".repeat(LONGEST + 1));
        assert_eq!(
            RelPath::parse(&longer, Spelling::NamesOnly),
            Err(Refused::TooLong)
        );
        let spelling =
            user_path(&format!("{}a", "/".repeat(LONGEST_SPELLING)).replacen('/', ".", 1));
        assert_eq!(
            RelPath::parse(&spelling, Spelling::NamesOnly),
            Err(Refused::TooLong)
        );
    }

    #[test]
    fn a_nul_byte_makes_no_path() {
        assert_eq!(UserPath::new(b"a\0b".to_vec()), Err(NulByte));
    }

    #[test]
    fn prefixes_run_from_the_first_component_to_the_whole() {
        let path = user_path("a//b/c/");
        let parsed = RelPath::parse(&path, Spelling::NamesOnly).unwrap();
        let wholes: Vec<CString> = parsed.prefixes().map(|p| p.whole().into_owned()).collect();
        assert_eq!(wholes, [c"a/", c"a/b/", c"a/b/c/"].map(CStr::to_owned));
        let last = parsed.prefixes().next_back().unwrap();
        assert_eq!(last, parsed);
    }

    #[test]
    fn a_listed_name_is_a_leaf_unless_it_would_be_walked() {
        assert_eq!(Leaf::listed(c"a").unwrap().as_c_str(), c"a");
        for name in [c"", c".", c"..", c"a/b", c"/"] {
            assert_eq!(Leaf::listed(name), None);
        }
    }
}
