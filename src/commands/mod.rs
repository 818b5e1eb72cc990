//! One file a command.

pub mod calibrate;
pub mod capture;
pub mod check;
pub mod correlate;
pub mod decode;
pub mod demo;
pub mod export;
pub mod import;
pub mod protocols;
pub mod redecode;
pub mod replay;
pub mod report;
pub mod serve;
pub mod sim;
pub mod sql;
