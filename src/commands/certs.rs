//! `taptrail certs`: what a hub and its nodes know each other by.

use crate::cli::CertsArgs;
use taptrail_web::hub::certs::{Wanted, make};

/// Makes the certificates and says which files are for whom.
pub fn run(args: CertsArgs) -> anyhow::Result<()> {
    let wanted = Wanted { hub: args.hub, nodes: args.nodes, days: args.days };
    for path in make(&args.out, &wanted)? {
        println!("{}", path.display());
    }
    eprintln!(
        "taptrail: ca.pem goes to every machine, each .pem and .key to the one it names; ca.key \
         signs new ones: keep it off both"
    );
    Ok(())
}
