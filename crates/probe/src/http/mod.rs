//! A small HTTP/1.1 client (RFC 9112) that stamps the last byte of an answer.
//! It is the same for all lanes: one GET, one connection each.

mod get;
mod load;
mod ready;
mod response;

pub use get::{Body, GetError, get};
pub use load::{Rush, Shot, closed_loop, downtime_ns, lateness_ns, open_loop};
pub use ready::{FirstResponse, ReadyError, ReadyOptions, wait_for_first_response};
pub use response::{ResponseError, decode};
