//! The network devices, by ioctl (netdevice(7)).

use std::{
    io,
    mem::zeroed,
    net::Ipv4Addr,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tandem_guest::wire::Network;

/// Brings the loopback device up, and the other one with its address.
pub(super) fn up(network: Option<&Network>) -> io::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    switch_on(&socket, "lo")?;
    let Some(network) = network else { return Ok(()) };
    set_address(&socket, &network.device, libc::SIOCSIFADDR, network.address)?;
    set_address(&socket, &network.device, libc::SIOCSIFNETMASK, network.mask)?;
    switch_on(&socket, &network.device)?;
    set_gateway(&socket, network.gateway)
}

fn request(device: &str) -> io::Result<libc::ifreq> {
    // SAFETY: an all-zero `ifreq` is valid.
    let mut request: libc::ifreq = unsafe { zeroed() };
    if device.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *place = byte.cast_signed();
    }
    Ok(request)
}

fn address(ip: Ipv4Addr) -> libc::sockaddr {
    // SAFETY: `sockaddr_in` and `sockaddr` have the same size and any bytes are
    // valid for both.
    unsafe {
        let mut address: libc::sockaddr_in = zeroed();
        address.sin_family = u16::try_from(libc::AF_INET).unwrap_or_default();
        address.sin_addr.s_addr = u32::from_ne_bytes(ip.octets());
        std::mem::transmute(address)
    }
}

fn set_address(
    socket: &OwnedFd,
    device: &str,
    operation: libc::c_ulong,
    ip: Ipv4Addr,
) -> io::Result<()> {
    let mut request = request(device)?;
    request.ifr_ifru.ifru_addr = address(ip);
    control(socket, operation, &raw mut request)
}

fn switch_on(socket: &OwnedFd, device: &str) -> io::Result<()> {
    let mut request = request(device)?;
    request.ifr_ifru.ifru_flags =
        i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    control(socket, libc::SIOCSIFFLAGS, &raw mut request)
}

fn set_gateway(socket: &OwnedFd, gateway: Ipv4Addr) -> io::Result<()> {
    // SAFETY: an all-zero `rtentry` is valid.
    let mut route: libc::rtentry = unsafe { zeroed() };
    route.rt_dst = address(Ipv4Addr::UNSPECIFIED);
    route.rt_genmask = address(Ipv4Addr::UNSPECIFIED);
    route.rt_gateway = address(gateway);
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    control(socket, libc::SIOCADDRT, &raw mut route)
}

fn control<T>(socket: &OwnedFd, operation: libc::c_ulong, argument: *mut T) -> io::Result<()> {
    // SAFETY: each caller passes the structure that its operation takes.
    match unsafe { libc::ioctl(socket.as_raw_fd(), operation, argument) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
