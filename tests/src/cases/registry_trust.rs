//! Who shows a certificate to whom, and certificates that are good no more.

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};

use super::{
    case,
    registry::{digest, small, tandem},
};
use crate::{Case, Need, Start, World, registry_peer::RegistryPeer};

const NEEDS: &[Need] = &[Need::Program("docker-registry"), Need::Program("openssl")];

pub(super) const CASES: &[Case] = &[
    case("registry::members_show_a_certificate", NEEDS, Start::Empty, members),
    case("registry::an_expired_certificate_is_said", NEEDS, Start::Empty, expired),
];

/// Puts a registry's authority where Docker has it: the registry's name, and the
/// folder.
fn trusted(world: &World, peer: &RegistryPeer) -> Result<(String, PathBuf)> {
    let registry = peer.address().to_string();
    let place = world.scratch().join("docker/certs.d").join(&registry);
    fs::create_dir_all(&place)?;
    fs::copy(peer.ca(), place.join("ca.crt"))?;
    Ok((registry, place))
}

fn members(world: &World) -> Result<()> {
    small(world)?;
    let peer = RegistryPeer::for_members(world)?;
    let (registry, place) = trusted(world, &peer)?;
    let name = format!("{registry}/app:1");
    let wants = ["wants to see a certificate of yours", &registry, "client.cert", "client.key"];
    for arguments in [["pull", &name].as_slice(), &["push", "small", &name]] {
        let refused = tandem(world, None, arguments)?.code_is(125)?;
        refused.says(&wants)?;
        ensure!(!refused.stderr.contains("the one that is here"), "{refused}");
    }

    // As Docker has them. One without its key is a mistake, and said.
    let own = world.scratch().join("members");
    fs::copy(own.join("client.cert"), place.join("client.cert"))?;
    tandem(world, None, &["pull", &name])?.code_is(125)?.is_one_sentence(&[
        "client.cert",
        "its key",
        "client.key",
    ])?;
    fs::copy(own.join("client.key"), place.join("client.key"))?;
    tandem(world, None, &["push", "small", &name])?.ok()?;
    tandem(world, None, &["pull", &name])?.ok()?;
    ensure!(digest(world, None, &name)? == digest(world, None, "small:latest")?, "it has changed");

    // Somebody else's.
    let stranger = RegistryPeer::expired(world)?;
    for (from, to) in [("server.crt", "client.cert"), ("server.key", "client.key")] {
        fs::copy(world.scratch().join("expired").join(from), place.join(to))?;
    }
    drop(stranger);
    let refused = tandem(world, None, &["pull", &name])?.code_is(125)?;
    refused.is_one_sentence(&[wants[0], "does not take the one that is here", "client.cert"])
}

fn expired(world: &World) -> Result<()> {
    small(world)?;
    let peer = RegistryPeer::expired(world)?;
    let (registry, _) = trusted(world, &peer)?;
    let name = format!("{registry}/app:1");
    for arguments in [["pull", &name].as_slice(), &["push", "small", &name]] {
        tandem(world, None, arguments)?.code_is(125)?.says(&[
            &registry,
            "it has expired",
            "ask whoever runs it for a new one",
            "clock",
        ])?;
    }
    Ok(())
}
