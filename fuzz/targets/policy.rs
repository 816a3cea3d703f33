//! The router's conditions by themselves: what is around them takes minutes to build, and they
//! are private to it.

pub(crate) mod condition;
pub(crate) mod name;
