//! What the commands that walk trees share.

pub mod matching;
pub mod progress;
pub mod quote;
pub mod report;
pub mod roots;
pub mod time;
pub mod units;
