//! `taptrail sql`.

use crate::cli::SqlArgs;
use crate::output::RowPrinter;
use crate::query::Rows;
use crate::runtime::runtime;
use taptrail_store::catalog::Store;
use taptrail_store::sql::session;

/// Runs one statement and prints its rows as they come.
pub fn run(args: SqlArgs) -> anyhow::Result<()> {
    let store = Store::open(&args.store.store)?;
    let context = session(&store)?;
    let mut printer = RowPrinter::stdout(args.format);
    runtime()?.block_on(async {
        let mut rows = Rows::of(&context, &args.statement).await?;
        printer.push(&rows.header())?;
        while let Some(batch) = rows.next().await? {
            printer.push(&batch)?;
        }
        printer.finish()
    })
}
