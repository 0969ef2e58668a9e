//! The libraries as programs meet them: as files, and linked.

mod clients;
mod common;
mod files;
mod programs;
