//! What a router does on either database.

mod verdicts;
mod failures;
mod options;
mod refusals;
mod streams;
mod storage;
mod permissions;
mod keys;
mod limits;
mod endpoints;
mod later;
mod anew;
mod shadow;
mod outbound;
mod answers;
mod cold;
mod protocols;
mod versions;
mod what_if;
mod routers;
mod description;
mod stages;
