//! What the host and the guest of a `micro` virtual machine say to each other.
//!
//! The program beside this library, `tandem-guest`, is the guest's first
//! process. The library holds only what both sides need: the types and the
//! framing, so that `tandem-vm` can be built without anything of the guest's.

pub mod wire;
