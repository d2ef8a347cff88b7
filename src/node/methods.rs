//! The methods of `SandboxRoot`: the name of each, what it takes, and what it does with the root.
//!
//! A method reads its arguments and gives back the work to be done: nothing is touched before all
//! of them hold.

use napi::Result;
use rustix::fs::{Mode, OFlags};

use super::args;
use super::call::{Lookup, Methods};
use super::make::Encoding;
use super::reply::Reply;
use crate::error::Call;
use crate::ops::content::{self, WriteOptions};
use crate::ops::copy::{self, CopyOptions};
use crate::ops::entry::{self, Existing};
use crate::ops::metadata::IfCached;
use crate::ops::tree::copy::CopyTreeOptions;
use crate::ops::tree::copy_entry::Keep;
use crate::ops::tree::relocate::MoveOptions;
use crate::ops::tree::walk::{self, ListOptions};
use crate::ops::tree::{self, relocate, remove};
use crate::ops::{identity, metadata, realpath};
use crate::path::UserPath;
use crate::resolve::{Place, Root};

/// Puts every method on the prototype.
pub fn define(methods: &mut Methods<'_>) -> Result<()> {
    methods.add("mkdir", |args| {
        let path = args.path(0, "path")?;
        let recursive = args.flag(1, "recursive")?;
        let mode = args.mode_or(2, "mode", 0o755)?;
        Ok(move |root: &Root| match recursive {
            true => entry::mkdir_all(root, &path, mode),
            false => entry::mkdir(root, &path, mode),
        })
    })?;

    methods.add("unlink", |args| {
        let path = args.path(0, "path")?;
        Ok(move |root: &Root| entry::unlink(root, &path))
    })?;

    methods.add("rmdir", |args| {
        let path = args.path(0, "path")?;
        Ok(move |root: &Root| entry::rmdir(root, &path))
    })?;

    for (name, existing) in [
        ("rename", Existing::Replace),
        ("renameNoReplace", Existing::Refuse),
    ] {
        methods.add(name, move |args| {
            let old = args.path(0, "oldPath")?;
            let new = args.path(1, "newPath")?;
            let to = args.options(2)?.to()?;
            Ok(move |root: &Root| {
                let (from, to) = places(root, &old, to.as_deref(), &new);
                entry::rename(from, to, existing)
            })
        })?;
    }

    methods.add("link", |args| {
        let old = args.path(0, "oldPath")?;
        let new = args.path(1, "newPath")?;
        let to = args.options(2)?.to()?;
        Ok(move |root: &Root| {
            let (from, to) = places(root, &old, to.as_deref(), &new);
            entry::link(from, to)
        })
    })?;

    methods.add("symlink", |args| {
        let target = args.path(0, "target")?;
        let new = args.path(1, "newPath")?;
        Ok(move |root: &Root| entry::symlink(root, &target, &new))
    })?;

    methods.add("chmod", |args| {
        let path = args.path(0, "path")?;
        let mode = args.mode(1, "mode")?;
        Ok(move |root: &Root| metadata::chmod(root, &path, mode))
    })?;

    methods.add("truncate", |args| {
        let path = args.path(0, "path")?;
        let length = args.length(1, "len")?;
        Ok(move |root: &Root| content::truncate(root, &path, length))
    })?;

    methods.add("copyFile", |args| {
        let src = args.path(0, "src")?;
        let dest = args.path(1, "dest")?;
        let mode = args.mode_or(2, "mode", 0o644)?;
        let options = args.options(3)?;
        let to = options.to()?;
        let options = CopyOptions {
            mode,
            exclusive: options.flag("exclusive", false)?,
            reflink: options.reflink()?,
        };
        let watch = args.watch(3)?;
        Ok(move |root: &Root| {
            let (from, to) = places(root, &src, to.as_deref(), &dest);
            copy::copy_file(from, to, options, &watch)
        })
    })?;

    methods.add("rm", |args| {
        let path = args.path(0, "path")?;
        let recursive = args.flag(1, "recursive")?;
        let force = args.flag(2, "force")?;
        args.options(3)?;
        let watch = args.watch_tree(3, recursive)?;
        Ok(move |root: &Root| remove::remove(root, &path, recursive, force, &watch))
    })?;

    // What `only` names alone is copied, if it is passed: see `allStarts` in class.js.
    methods.add("cp", |args| {
        let src = args.path(0, "src")?;
        let dest = args.path(1, "dest")?;
        let options = args.options(2)?;
        let to = options.to()?;
        options.refuse_false(
            "verbatimSymlinks",
            "cannot be false: the path of the root would be written into the link",
        )?;
        let force = options.flag("force", true)?;
        let keep_times = options.flag("preserveTimestamps", false)?;
        let keep = options.preserve()?;
        let options = CopyTreeOptions {
            recursive: options.flag("recursive", false)?,
            existing: match (force, options.flag("errorOnExist", false)?) {
                (true, _) => tree::copy_entry::Existing::Replace,
                (false, false) => tree::copy_entry::Existing::Skip,
                (false, true) => tree::copy_entry::Existing::Refuse,
            },
            reflink: options.reflink()?,
            keep: Keep {
                times: keep.times || keep_times,
                ..keep
            },
            report_vanished: !options.flag("ignoreVanished", false)?,
            only: args.names(3)?.map(|names| names.into_iter().collect()),
        };
        let watch = args.watch_tree(2, options.recursive)?;
        Ok(move |root: &Root| {
            let (from, to) = places(root, &src, to.as_deref(), &dest);
            tree::copy::copy_tree(from, to, &options, &watch)
        })
    })?;

    methods.add("move", |args| {
        let src = args.path(0, "src")?;
        let dest = args.path(1, "dest")?;
        let options = args.options(2)?;
        let to = options.to()?;
        let options = MoveOptions {
            overwrite: options.flag("overwrite", false)?,
            flush: options.flag("flush", false)?,
        };
        // By a promise at first: a rename needs no thread of its own, see `allStarts` in class.js.
        let rename_only = args.flag(3, "renameOnly")?;
        let watch = args.watch_tree(2, !rename_only)?;
        Ok(move |root: &Root| {
            let (from, to) = places(root, &src, to.as_deref(), &dest);
            match rename_only {
                true => relocate::rename(from, to, options.overwrite, &watch),
                false => relocate::relocate(from, to, options, &watch),
            }
        })
    })?;

    for (name, set) in [
        ("utimes", metadata::utimes as fn(&_, &_, &_) -> _),
        ("lutimes", metadata::lutimes),
    ] {
        methods.add(name, move |args| {
            let path = args.path(0, "path")?;
            let accessed = args.nanoseconds(1, "atimeNs")?;
            let modified = args.nanoseconds(2, "mtimeNs")?;
            let times = metadata::times(accessed, modified);
            Ok(move |root: &Root| set(root, &path, &times))
        })?;
    }

    for (name, set) in [
        ("chown", metadata::chown as fn(&_, &_, _) -> _),
        ("lchown", metadata::lchown),
    ] {
        methods.add(name, move |args| {
            let path = args.path(0, "path")?;
            let owner = args.owner(1)?;
            Ok(move |root: &Root| set(root, &path, owner))
        })?;
    }

    for (name, describe, follow) in [
        ("stat", metadata::stat as fn(&_, &_) -> _, true),
        ("lstat", metadata::lstat, false),
    ] {
        methods.add(name, move |args| {
            let path = args.path(0, "path")?;
            let options = args.stat_options(1)?;
            let ask = move |root: &Root, path: &UserPath| match metadata::stat_if_cached(
                root, path, follow,
            ) {
                IfCached::Answer(found) => IfCached::Answer(Reply::stats(found, options)),
                IfCached::Wait(fd) => IfCached::Wait(fd),
            };
            let ask_and_wait =
                move |root: &Root, path: &UserPath| Reply::stats(describe(root, path), options);
            Ok(Lookup {
                path,
                ask,
                ask_and_wait,
            })
        })?;
    }

    methods.add("access", |args| {
        let path = args.path(0, "path")?;
        let mode = args.access(1, "mode")?;
        Ok(move |root: &Root| metadata::access(root, &path, mode))
    })?;

    // As with Node, what is no path does not exist, as the empty path does not.
    methods.add("exists", |args| {
        let path = args.path(0, "path").unwrap_or_default();
        let ask = |root: &Root, path: &UserPath| match metadata::exists_if_cached(root, path) {
            IfCached::Answer(found) => IfCached::Answer(Ok(Reply::Flag(found))),
            IfCached::Wait(fd) => IfCached::Wait(fd),
        };
        let ask_and_wait =
            |root: &Root, path: &UserPath| Ok(Reply::Flag(metadata::exists(root, path)));
        Ok(Lookup {
            path,
            ask,
            ask_and_wait,
        })
    })?;

    methods.add("readlink", |args| {
        let path = args.path(0, "path")?;
        let encoding = args.name_encoding(1)?;
        Ok(move |root: &Root| Ok(Reply::Text(entry::readlink(root, &path)?, encoding)))
    })?;

    methods.add("realpath", |args| {
        let path = args.path(0, "path")?;
        let encoding = args.name_encoding(1)?;
        Ok(move |root: &Root| Ok(Reply::Text(realpath::realpath(root, &path)?, encoding)))
    })?;

    methods.add("readdir", |args| {
        let path = args.path(0, "path")?;
        let options = args.options_or_encoding(1)?;
        let encoding = options.name_encoding()?;
        let options = ListOptions {
            recursive: options.flag("recursive", false)?,
            typed: options.flag("withFileTypes", false)?,
        };
        let watch = args.watch_tree(1, options.recursive)?;
        Ok(move |root: &Root| {
            let names = walk::read_directory(root, &path, options, &watch)?;
            Ok(Reply::Names(Box::new(names), encoding))
        })
    })?;

    methods.add("mkdtemp", |args| {
        let prefix = args.path(0, "prefix")?;
        let encoding = args.name_encoding(1)?;
        Ok(move |root: &Root| Ok(Reply::Text(entry::mkdtemp(root, &prefix)?, encoding)))
    })?;

    methods.add("exchange", |args| {
        let a = args.path(0, "a")?;
        let b = args.path(1, "b")?;
        Ok(move |root: &Root| {
            let (a, b) = places(root, &a, None, &b);
            entry::rename(a, b, Existing::Exchange)
        })
    })?;

    methods.add("openRoot", |args| {
        let path = args.path(0, "path")?;
        let policy = args.policy(1)?;
        Ok(move |root: &Root| Call::on("open", &path).run(|| root.open_beneath(&path, policy)))
    })?;

    methods.add("isAt", |args| {
        let host_path = args.path(0, "path")?;
        Ok(move |root: &Root| identity::is_at(root, &host_path))
    })?;

    methods.add("open", |args| {
        let path = args.path(0, "path")?;
        let flags = args.open_flags(1, "flags")?;
        let mode = args.mode_or(2, "mode", 0o666)?;
        Ok(move |root: &Root| content::open(root, &path, flags, mode))
    })?;

    methods.add("openRead", |args| {
        let path = args.path(0, "path")?;
        let flags = OFlags::RDONLY;
        Ok(move |root: &Root| content::open(root, &path, flags, Mode::empty()))
    })?;

    methods.add("openWrite", |args| {
        let path = args.path(0, "path")?;
        let create = args.flag(1, "create")?;
        let truncate = args.flag(2, "truncate")?;
        let append = args.flag(3, "append")?;
        let mode = args.mode_or(4, "mode", 0o666)?;
        if truncate && append {
            return args.refuse(2, "truncate", "cannot be true with 'append'");
        }
        let mut flags = OFlags::WRONLY;
        flags.set(OFlags::CREATE, create);
        flags.set(OFlags::TRUNC, truncate);
        flags.set(OFlags::APPEND, append);
        Ok(move |root: &Root| content::open(root, &path, flags, mode))
    })?;

    methods.add("readFile", |args| {
        let path = args.path(0, "path")?;
        let options = args.options_or_encoding(1)?;
        let encoding = options.encoding(Encoding::Buffer)?;
        let most = options.number("maxBytes", args::MAX_SAFE_INTEGER)?;
        let most = most.unwrap_or(content::MOST_READ);
        Ok(move |root: &Root| {
            let content = content::read_file(root, &path, most)?;
            Ok(Reply::Text(content, encoding))
        })
    })?;

    let written = OFlags::WRONLY | OFlags::CREATE;
    for (name, default) in [
        ("writeFile", written | OFlags::TRUNC),
        ("appendFile", written | OFlags::APPEND),
    ] {
        methods.add(name, move |args| {
            let path = args.path(0, "path")?;
            let bag = args.options_or_encoding(2)?;
            let data = args.data(1, "data", &bag.text_encoding()?)?;
            let options = WriteOptions {
                flags: bag.open_flags(default)?,
                mode: bag.mode()?,
                atomic: bag.flag("atomic", false)?,
                flush: bag.flag("flush", false)?,
            };
            // With these nothing is written, or a file without a name.
            let meaningless = OFlags::PATH | OFlags::DIRECTORY | OFlags::TMPFILE;
            if options.flags.intersects(meaningless) {
                return bag.refuse("flag", "is invalid");
            }
            if options.atomic && options.flags - OFlags::EXCL != written | OFlags::TRUNC {
                let reason = "cannot be true unless 'flag' is 'w' or 'wx'";
                return bag.refuse("atomic", reason);
            }
            Ok(move |root: &Root| {
                let place = Place { root, path: &path };
                content::write_file(place, &data, options)
            })
        })?;
    }

    methods.add("fsync", |args| {
        let path = args.path(0, "path")?;
        Ok(move |root: &Root| content::fsync(root, &path))
    })
}

/// The two paths of an operation: the second one beneath the root `to`, if that is another one.
fn places<'a>(
    root: &'a Root,
    path: &'a UserPath,
    to: Option<&'a Root>,
    dest: &'a UserPath,
) -> (Place<'a>, Place<'a>) {
    let to = Place {
        root: to.unwrap_or(root),
        path: dest,
    };
    (Place { root, path }, to)
}
