//! One file a command.

pub mod calibrate;
pub mod capture;
pub mod certs;
pub mod check;
pub mod compact;
pub mod correlate;
pub mod decode;
pub mod demo;
pub mod export;
pub mod hub;
pub mod import;
pub mod protocols;
pub mod redecode;
pub mod replay;
pub mod report;
pub mod serve;
pub mod ship;
pub mod sim;
pub mod sql;
