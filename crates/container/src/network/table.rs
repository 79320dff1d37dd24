//! Whether nftables has a table, asked of the kernel itself: running `nft` for
//! that would take longer than everything else on the way to a network.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// `NFNL_SUBSYS_NFTABLES` (linux/netfilter/nfnetlink.h).
const NF_TABLES: u16 = 10;

/// `NFT_MSG_GETTABLE` and the answer to it, `NFT_MSG_NEWTABLE`
/// (linux/netfilter/nf_tables.h).
const GET: u16 = NF_TABLES << 8 | 1;
const FOUND: u16 = NF_TABLES << 8;

/// `NFTA_TABLE_NAME`, and the family of IPv4.
const NAME: u16 = 1;
const IPV4: u8 = 2;

/// A request, and an answer that carries an error's number (netlink(7)).
const REQUEST: u16 = 1;
const ERROR: u16 = 2;

/// Whether the thread's network namespace has a table of this name for IPv4.
///
/// # Errors
/// When the kernel has no nftables, or tells them to others only.
pub(super) fn exists(name: &str) -> io::Result<bool> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let kernel: OwnedFd =
        socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)?;
    let request = request(name);
    sendto(kernel.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0; 4096];
    let length = recv(kernel.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    read(&answer[..length])
}

/// A message of netlink(7) with a family, and an attribute that is padded to
/// four bytes.
fn request(name: &str) -> Vec<u8> {
    let text = [name.as_bytes(), b"\0"].concat();
    // The kernel's names have 32 bytes at most, and it refuses longer ones.
    let attribute = u16::try_from(4 + text.len()).unwrap_or(u16::MAX);
    let length = 16 + 4 + u32::from(attribute).next_multiple_of(4);
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(GET.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    // Sequence and sender: there is one answer, and to us.
    bytes.extend([0; 8]);
    bytes.extend([IPV4, 0, 0, 0]);
    bytes.extend(attribute.to_ne_bytes());
    bytes.extend(NAME.to_ne_bytes());
    bytes.extend(text);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The table itself, or an error's number.
fn read(answer: &[u8]) -> io::Result<bool> {
    let kind = answer.get(4..6).and_then(|two| two.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|four| four.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(FOUND), _) => Ok(true),
        (Some(ERROR), Some(code)) => match -code {
            libc::ENOENT => Ok(false),
            code => Err(io::Error::from_raw_os_error(code)),
        },
        _ => Err(io::Error::other("nftables gave an answer that is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_table() {
        let bytes = request("tandem");
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[..2], 32_u16.to_ne_bytes());
        assert_eq!(&bytes[20..22], &11_u16.to_ne_bytes());
        assert_eq!(&bytes[24..], b"tandem\0\0");
    }

    #[test]
    fn only_enoent_says_that_there_is_none() {
        let error = |code: i32| {
            [&[36, 0, 0, 0][..], &ERROR.to_ne_bytes(), &[0; 10], &(-code).to_ne_bytes()].concat()
        };
        assert!(!read(&error(libc::ENOENT)).unwrap());
        assert_eq!(read(&error(libc::EPERM)).unwrap_err().raw_os_error(), Some(libc::EPERM));
        let found = [&[20, 0, 0, 0][..], &FOUND.to_ne_bytes(), &[0; 14]].concat();
        assert!(read(&found).unwrap());
        assert!(read(&[]).is_err() && read(&[0; 20]).is_err());
    }

    #[test]
    fn the_kernel_knows_no_table_of_nobodys() {
        // An ordinary user is refused, and a kernel may have none at all.
        assert!(!matches!(exists("tandem_nobodys_table"), Ok(true)));
    }
}
