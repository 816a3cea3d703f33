//! Who may do what: keys, what they allow, and how often they may be used.
//!
//! A request meets the database for none of it: all keys are in memory, and follow it.

pub(crate) mod moment;
pub(crate) mod token;
pub(crate) mod owner;
pub(crate) mod grant;
pub(crate) mod permission;
pub(crate) mod limit;
pub(crate) mod key;
pub(crate) mod keyring;
pub(crate) mod caller;
pub(crate) mod follow;

pub(crate) use caller::Caller;
pub(crate) use keyring::Keyring;
pub(crate) use permission::Permission;
