//! The methods of `SandboxRoot`: the name of each, what it takes, and what it does with the root.
//!
//! A method reads its arguments and gives back the work to be done: nothing is touched before all
//! of them hold.

use napi::Result;

use super::call::Methods;
use super::reply::Reply;
use crate::ops::content::{self, Keep, WriteOptions};
use crate::ops::entry::{self, Existing};
use crate::ops::{copy, metadata, tree};
use crate::resolve::Root;
use crate::watch::Watch;

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

    methods.add("rename", |args| {
        let old = args.path(0, "oldPath")?;
        let new = args.path(1, "newPath")?;
        Ok(move |root: &Root| entry::rename(root, &old, &new, Existing::Replace))
    })?;

    methods.add("renameNoReplace", |args| {
        let old = args.path(0, "oldPath")?;
        let new = args.path(1, "newPath")?;
        Ok(move |root: &Root| entry::rename(root, &old, &new, Existing::Refuse))
    })?;

    methods.add("link", |args| {
        let old = args.path(0, "oldPath")?;
        let new = args.path(1, "newPath")?;
        Ok(move |root: &Root| entry::link(root, &old, &new))
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
        Ok(move |root: &Root| copy::copy_file(root, &src, &dest, mode))
    })?;

    methods.add("rm", |args| {
        let path = args.path(0, "path")?;
        let recursive = args.flag(1, "recursive")?;
        let force = args.flag(2, "force")?;
        Ok(move |root: &Root| {
            tree::remove::remove(root, &path, recursive, force, &Watch::default())
        })
    })?;

    methods.add("utimes", |args| {
        let path = args.path(0, "path")?;
        let accessed = args.nanoseconds(1, "atimeNs")?;
        let modified = args.nanoseconds(2, "mtimeNs")?;
        let times = metadata::times(accessed, modified);
        Ok(move |root: &Root| metadata::utimes(root, &path, &times))
    })?;

    methods.add("lutimes", |args| {
        let path = args.path(0, "path")?;
        let accessed = args.nanoseconds(1, "atimeNs")?;
        let modified = args.nanoseconds(2, "mtimeNs")?;
        let times = metadata::times(accessed, modified);
        Ok(move |root: &Root| metadata::lutimes(root, &path, &times))
    })?;

    methods.add("chown", |args| {
        let path = args.path(0, "path")?;
        let owner = args.owner(1)?;
        Ok(move |root: &Root| metadata::chown(root, &path, owner))
    })?;

    methods.add("lchown", |args| {
        let path = args.path(0, "path")?;
        let owner = args.owner(1)?;
        Ok(move |root: &Root| metadata::lchown(root, &path, owner))
    })?;

    methods.add("stat", |args| {
        let path = args.path(0, "path")?;
        let options = args.stat_options(1)?;
        Ok(move |root: &Root| Reply::stats(metadata::stat(root, &path), options))
    })?;

    methods.add("lstat", |args| {
        let path = args.path(0, "path")?;
        let options = args.stat_options(1)?;
        Ok(move |root: &Root| Reply::stats(metadata::lstat(root, &path), options))
    })?;

    methods.add("access", |args| {
        let path = args.path(0, "path")?;
        let mode = args.access(1, "mode")?;
        Ok(move |root: &Root| metadata::access(root, &path, mode))
    })?;

    // As with Node, what is no path does not exist.
    methods.add("exists", |args| {
        let path = args.path(0, "path").ok();
        Ok(move |root: &Root| Ok(path.is_some_and(|path| metadata::exists(root, &path))))
    })?;

    methods.add("readlink", |args| {
        let path = args.path(0, "path")?;
        let encoding = args.encoding(1)?;
        Ok(move |root: &Root| {
            let target = entry::readlink(root, &path)?;
            Ok(Reply::name(target, encoding))
        })
    })?;

    methods.add("exchange", |args| {
        let a = args.path(0, "a")?;
        let b = args.path(1, "b")?;
        Ok(move |root: &Root| entry::rename(root, &a, &b, Existing::Exchange))
    })?;

    methods.add("openRead", |args| {
        let path = args.path(0, "path")?;
        Ok(move |root: &Root| content::open_read(root, &path))
    })?;

    methods.add("openWrite", |args| {
        let path = args.path(0, "path")?;
        let create = args.flag(1, "create")?;
        let truncate = args.flag(2, "truncate")?;
        let append = args.flag(3, "append")?;
        let mode = args.mode_or(4, "mode", 0o666)?;
        let keep = match (truncate, append) {
            (true, true) => return args.refuse(2, "truncate", "cannot be true with 'append'"),
            (true, false) => Keep::Truncate,
            (false, true) => Keep::Append,
            (false, false) => Keep::Overwrite,
        };
        let create = create.then_some(mode);
        Ok(move |root: &Root| content::open_write(root, &path, WriteOptions { create, keep }))
    })
}
