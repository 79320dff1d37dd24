//! The user namespace in which an ordinary user's commands work.
//!
//! ```text
//! who asks      namespace                 ids inside
//! root          the machine's own         all
//! anybody else  one for each home         0 is the person; 1… are the person's
//!                                         subordinate ids, where there are any
//! ```
//!
//! [`enter`] comes first in `main`, while there is a single thread. Everything
//! after it works as root does, with less power: files, mounts, networks and
//! processes are its own, the machine's stay out of reach.
//!
//! All living processes of a home share one namespace, since a command must be
//! able to enter what an earlier one started. Nothing keeps it but those
//! processes: each registers itself in the home (`members/PID`), a newcomer
//! joins one that lives, and makes a new namespace when none does. A lock on
//! the home lets one at a time do so.

mod capability;
mod enter;
mod ids;
mod maps;
mod members;
mod scope;
mod standing;

pub use capability::{capability, mend};
pub use enter::{RootlessError, enter, register, why_not};
pub use ids::{IdRange, Ranges, ranges_of_caller};
pub use standing::Standing;
