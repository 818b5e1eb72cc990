//! Decimals whose places after the point are told elsewhere: in another field,
//! by a code, by what was learned.

use crate::batch::{DecimalCol, MessageBatch};
use crate::fixed::bytes::Body;
use crate::fixed::learned::Learned;
use crate::fixed::place::{NumberAt, Parts, Ref};
use crate::fixed::program::{FactorTable, ScaleAt};
use crate::fixed::run::{Bucket, Item, elsewhere, is_null};
use crate::kind::flags;

/// Writes numbers of which `told` says where they stand and what they are
/// multiplied with to count in billionths.
#[inline(always)]
pub fn scale_all<I: Bucket>(
    (at, sign, null): (NumberAt, Option<Ref>, &[u64]),
    col: DecimalCol,
    bucket: I,
    batch: &mut MessageBatch,
    mut told: impl FnMut(NumberAt, &Item<I::Bytes>) -> (NumberAt, Option<i64>),
) {
    for item in bucket {
        let row = item.slot();
        let (at, factor) = told(at, &item);
        let number = at.read(&item.body);
        let number = number.filter(|n| !is_null_at(null, *n, at, &item.body));
        let minus = sign.and_then(|sign| sign.read(&item.body, item.body.parts()));
        let number = number.map(|n| if minus == Some(b'-'.into()) { -n } else { n });
        let (column, present) = batch.decimals_mut(col);
        match (number, factor) {
            (Some(number), Some(factor)) => column[row] = times_factor(number, factor),
            (number, _) => {
                present[row] &= !col.bit();
                if number.is_some() {
                    batch.add_flags(row, flags::MAYBE_BAD_STATE);
                }
            }
        }
    }
}

/// A number in billionths.
#[inline(always)]
fn times_factor(number: i128, factor: i64) -> i128 {
    match i64::try_from(number) {
        // One multiplication of two words.
        Ok(number) => i128::from(number).wrapping_mul(factor.into()),
        Err(_) => number.wrapping_mul(factor.into()),
    }
}

/// Of a number without places.
pub const ONE: i64 = 1_000_000_000;

/// 10^(9 - places).
const FACTORS: [i64; 10] =
    [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

/// What a number is multiplied with to count in billionths, where its places
/// are told elsewhere.
#[inline(always)]
pub fn factor<B: Body>(
    scale: &ScaleAt,
    body: &B,
    parts: Option<Parts<'_>>,
    scope: u32,
    known: &mut (impl Learned + ?Sized),
    factors: &[FactorTable],
) -> Option<i64> {
    match scale {
        ScaleAt::Places(from) => {
            let places = elsewhere(from, body, parts, scope, known)?;
            FACTORS.get(usize::try_from(places).ok()?).copied()
        }
        ScaleAt::Code(from, table) => {
            let code = u64::try_from(from.read(body, parts)?).ok()?;
            factors.get(*table)?.factor(code)
        }
        ScaleAt::Last(_) => Some(ONE),
    }
}

/// The same where sentinels are the bits of a perhaps signed integer.
#[inline(always)]
fn is_null_at<B: Body>(null: &[u64], number: i128, at: NumberAt, body: &B) -> bool {
    !null.is_empty()
        && match at {
            NumberAt::Plain { at, .. } => null.contains(&at.unsigned_in(body)),
            _ => is_null(null, number),
        }
}
