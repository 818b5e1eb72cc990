//! Column buffers become Arrow arrays, a batch at a time.
//!
//! ```text
//! MessageBatch (reused)  ──one memcpy a column──> RecordBatch of `messages`
//! PacketBatch  (reused)  ──one memcpy a column──> RecordBatch of `packets`
//! ```

pub mod messages;
pub mod packets;
mod pool;
mod vocabulary;
