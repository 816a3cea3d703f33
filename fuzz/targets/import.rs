//! The harness's readers of foreign formats by themselves: what is around them takes minutes to
//! build, and they are private to it.

pub(crate) mod call;
pub(crate) mod input;
pub(crate) mod data_capture;
pub(crate) mod gor;
pub(crate) mod har;
pub(crate) mod csv_file;
pub(crate) mod json_lines;
pub(crate) mod parquet_file;
pub(crate) mod columns;
pub(crate) mod row;
pub(crate) mod seeds;
