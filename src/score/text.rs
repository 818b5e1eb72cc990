//! A score for people.

use super::Score;
use super::links::Bin;
use std::fmt::Write;

impl Score {
    /// As aligned text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.links(&mut out).and_then(|()| self.rest(&mut out));
        out
    }

    fn links(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "LINKS by rule        links     right  precision  ambiguous")?;
        for rule in &self.rules {
            let name = format!("{} {}", rule.kind, rule.rule);
            let (links, right, precision) = (rule.links, rule.right, share(rule.precision_ppm));
            writeln!(out, "{name:<32}{links:>9}{right:>10}{precision:>11}{:>11}", rule.ambiguous)?;
        }
        writeln!(out, "\nTRUTH by kind        links     found     recall")?;
        for kind in self.kinds.iter().filter(|kind| kind.truth > 0) {
            let (name, recall) = (&kind.kind, share(kind.recall_ppm));
            writeln!(out, "{name:<16}{:>10}{:>10}{recall:>11}", kind.truth, kind.found)?;
        }
        writeln!(
            out,
            "\nLATENCY of right links, ns     links  bounded  within  off p50  off p99  width"
        )?;
        for hop in &self.latencies {
            let name = format!("{} {} > {}", hop.kind, hop.from, hop.to);
            writeln!(
                out,
                "{name:<28}{:>8}{:>9}{:>9}{:>9}{:>9}{:>8}",
                hop.links,
                hop.bounded,
                share(hop.coverage_ppm),
                hop.error_p50_ns,
                hop.error_p99_ns,
                hop.width_p50_ns
            )?;
        }
        writeln!(out, "\nCONFIDENCE below 1      links     right   said")?;
        bins(&self.calibration, out)?;
        if self.set_aside > 0 {
            writeln!(out, "\nSET ASIDE {} links of messages cut by a snaplen", self.set_aside)?;
        }
        let none = &self.untriggered;
        writeln!(
            out,
            "\nORDERS WITHOUT A TRIGGER {}: {} were given one; {:.1} links may be wrong",
            none.orders,
            none.linked,
            none.expected_per_mille as f64 / 1000.0
        )
    }

    fn rest(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\nCLOCKS, ns           windows  unknown  within  off p50  |off| p99  asymmetry  bound"
        )?;
        for clock in &self.clocks {
            let name = format!("{} - {} {}", clock.clock, clock.against, clock.method);
            let asymmetry = clock.asymmetry_ns.map_or("-".to_owned(), |ns| ns.to_string());
            writeln!(
                out,
                "{name:<20}{:>8}{:>9}{:>8}{:>9}{:>11}{asymmetry:>11}{:>7}",
                clock.windows,
                clock.unknown,
                share(clock.coverage_ppm),
                clock.error_p50_ns,
                clock.error_p99_ns,
                clock.bound_p50_ns
            )?;
        }
        writeln!(
            out,
            "\nLOST MESSAGES {}, right cause {}, cause not told {}",
            self.losses.lost,
            share(self.losses.right_ppm),
            self.losses.untold
        )?;
        for cell in &self.losses.cells {
            writeln!(out, "{:<12} told {:<12}{:>9}", cell.truth, cell.told, cell.messages)?;
        }
        let cut = self.losses.set_aside;
        if cut > 0 {
            writeln!(out, "set aside: {cut} cut by a snaplen")?;
        }
        if self.losses.calibration.iter().any(|bin| bin.links > 0) {
            writeln!(out, "\nCAUSES below 1       messages     right   said")?;
        }
        bins(&self.losses.calibration, out)
    }
}

fn bins(bins: &[Bin], out: &mut String) -> std::fmt::Result {
    for bin in bins.iter().filter(|bin| bin.links > 0) {
        let said = bin.sum_per_mille * 1000 / bin.links;
        let right = bin.right * 1_000_000 / bin.links;
        let (right, said) = (share(Some(right)), share(Some(said)));
        let from = f64::from(bin.from_per_mille) / 1000.0;
        writeln!(out, "from {from:<11.1}{:>13}{right:>10}{said:>8}", bin.links)?;
    }
    Ok(())
}

/// A share of a million with five places.
fn share(ppm: Option<u64>) -> String {
    ppm.map_or("-".to_owned(), |ppm| format!("{}.{:05}", ppm / 1_000_000, ppm % 1_000_000 / 10))
}
