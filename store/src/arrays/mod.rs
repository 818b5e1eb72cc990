//! Column buffers become Arrow arrays, a batch at a time.
//!
//! ```text
//! MessageBatch (reused)  ──one memcpy a column──> RecordBatch of `messages`
//! RecordBatch of `packets` ────────────────────> packets as they were captured
//! ```

pub mod messages;
pub mod packets;
mod pool;
mod vocabulary;
