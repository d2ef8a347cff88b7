//! What a root allows. The default is what a sandbox for somebody else's files needs.

use rustix::fs::ResolveFlags;

use crate::path::Spelling;

/// What a root allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Symlinks that would be followed.
    pub symlinks: Symlinks,
    /// Mounts beneath the root.
    pub mounts: Allowed,
    /// The content of files that have another name.
    pub hardlinks: Allowed,
    /// Whether every change is refused.
    pub readonly: bool,
}

/// What becomes of a symlink that would be followed. Magic links never are, and operations on a
/// name act on the link itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symlinks {
    /// It is `ELOOP`.
    #[default]
    Reject,
    /// It is followed while it stays beneath the root.
    Beneath,
    /// It is followed as in a container: absolute links and `..` resolve inside the root.
    InRoot,
}

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    /// It is.
    #[default]
    Yes,
    /// It is refused.
    No,
}

impl Policy {
    /// How openat2(2) is told.
    pub fn resolve(self) -> ResolveFlags {
        let symlinks = match self.symlinks {
            Symlinks::Reject => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            Symlinks::Beneath => ResolveFlags::BENEATH,
            Symlinks::InRoot => ResolveFlags::IN_ROOT,
        };
        let mounts = match self.mounts {
            Allowed::Yes => ResolveFlags::empty(),
            Allowed::No => ResolveFlags::NO_XDEV,
        };
        symlinks | mounts | ResolveFlags::NO_MAGICLINKS
    }

    /// What holds for a step within a tree, by one name: no symlink is followed there.
    pub fn in_tree(self) -> Self {
        Self {
            symlinks: Symlinks::Reject,
            ..self
        }
    }

    /// What holds for the target of a symlink that is to be made: links are followed, and none leads out.
    pub fn following(self) -> Self {
        Self {
            symlinks: Symlinks::Beneath,
            ..self
        }
    }

    /// What a caller may write beside names.
    pub fn spelling(self) -> Spelling {
        match self.symlinks {
            Symlinks::Reject => Spelling::NamesOnly,
            Symlinks::Beneath => Spelling::Upwards,
            Symlinks::InRoot => Spelling::UpwardsAndAbsolute,
        }
    }

    /// Whether symlinks are followed at all.
    pub fn follows(self) -> bool {
        self.symlinks != Symlinks::Reject
    }

    /// Whether this allows nothing that `other` refuses.
    pub fn is_within(self, other: Self) -> bool {
        let kept = |mine, others| others == Allowed::Yes || mine == Allowed::No;
        (self.symlinks == Symlinks::Reject || self.symlinks == other.symlinks)
            && kept(self.mounts, other.mounts)
            && kept(self.hardlinks, other.hardlinks)
            && (self.readonly || !other.readonly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Policy = Policy {
        symlinks: Symlinks::Reject,
        mounts: Allowed::No,
        hardlinks: Allowed::No,
        readonly: true,
    };

    #[test]
    fn magic_links_are_never_followed_and_the_root_is_never_left() {
        for symlinks in [Symlinks::Reject, Symlinks::Beneath, Symlinks::InRoot] {
            let flags = Policy { symlinks, ..STRICT }.resolve();
            assert!(flags.contains(ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV));
            assert!(flags.intersects(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT));
        }
    }

    #[test]
    fn by_default_no_symlink_is_followed() {
        let flags = Policy::default().resolve();
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        assert_eq!(flags, beneath | ResolveFlags::NO_MAGICLINKS);
    }

    #[test]
    fn a_policy_is_within_another_if_it_loosens_nothing() {
        let open = Policy::default();
        assert!(STRICT.is_within(open) && STRICT.is_within(STRICT) && open.is_within(open));
        assert!(!open.is_within(STRICT));
        for looser in [
            Policy {
                symlinks: Symlinks::Beneath,
                ..STRICT
            },
            Policy {
                mounts: Allowed::Yes,
                ..STRICT
            },
            Policy {
                hardlinks: Allowed::Yes,
                ..STRICT
            },
            Policy {
                readonly: false,
                ..STRICT
            },
        ] {
            assert!(!looser.is_within(STRICT), "{looser:?}");
        }
        let in_root = Policy {
            symlinks: Symlinks::InRoot,
            ..open
        };
        let beneath = Policy {
            symlinks: Symlinks::Beneath,
            ..open
        };
        assert!(!in_root.is_within(beneath) && !beneath.is_within(in_root));
    }
}
