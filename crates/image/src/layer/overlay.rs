use tandem_rootless::Standing;

/// Where overlayfs keeps its marks (kernel, overlayfs.rst, "User xattr").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverlayXattrs {
    /// `trusted.overlay.…`: needs root of the initial user namespace.
    Trusted,
    /// `user.overlay.…`: mount with the option `userxattr`.
    User,
}

impl OverlayXattrs {
    /// What this process can write, and so what an overlay over layers that
    /// it unpacked must read.
    pub fn of_process() -> Self {
        if Standing::of_process().is_machine_root() { Self::Trusted } else { Self::User }
    }

    /// The attribute that makes a folder hide all beneath it, when it is `y`.
    pub fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }
}

/// Whether files can be given to others: by root, unless it is alone in its
/// user namespace.
pub(crate) fn may_give() -> bool {
    rustix::process::geteuid().is_root() && !has_single_id()
}

/// Whether this process is root of a user namespace with nobody else in it, so
/// that every file belongs to root there, whoever it was meant for.
pub fn has_single_id() -> bool {
    Standing::of_process().is_single()
}

/// The mark within the overlay's own attributes, e.g. `opaque`.
pub(super) fn overlay_mark(xattr: &str) -> Option<&str> {
    xattr.strip_prefix("trusted.overlay.").or_else(|| xattr.strip_prefix("user.overlay."))
}

/// Whether an attribute belongs to the file rather than to this machine.
pub(super) fn is_portable(xattr: &str) -> bool {
    matches!(xattr, "security.capability" | "system.posix_acl_access" | "system.posix_acl_default")
        || (xattr.starts_with("user.") && overlay_mark(xattr).is_none())
}

/// Prefix of a deletion in an archive (OCI image specification, layer.md,
/// "Whiteouts").
pub(super) const WHITEOUT: &[u8] = b".wh.";
/// Name that makes its folder opaque.
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";
/// Prefix of AUFS's own files, which mean nothing elsewhere.
pub(super) const AUFS: &[u8] = b".wh..wh.";
