//! What the bytes of one field mean by its type alone.

use crate::field::Datum;
use crate::fixed::bytes::Window;
use crate::fixed::place::digits;
use crate::fixed::wire::{FieldType, Wire};

/// The value; `None` where it is blank or a sentinel. A number whose places
/// are told elsewhere is an integer.
pub fn plain<'b>(ty: &FieldType, bytes: &'b [u8]) -> Option<Datum<'b>> {
    let number = match ty.wire {
        Wire::Bytes { .. } => return Some(Datum::Bytes(bytes)),
        Wire::Text { .. } => {
            let text = ty.trim.apply(bytes);
            return (!text.is_empty()).then_some(Datum::Text(text));
        }
        Wire::Digits { .. } => match digits(bytes) {
            Some(number) => number,
            None => {
                let text = ty.trim.apply(bytes);
                return (!text.is_empty()).then_some(Datum::Text(text));
            }
        },
        Wire::Int { width, signed, little } => {
            let window = Window::new(0, width, little)?;
            match signed {
                true => window.signed_in(&bytes).into(),
                false => window.unsigned(bytes).into(),
            }
        }
    };
    if is_sentinel(ty, bytes) {
        return None;
    }
    Some(match ty.scale {
        Some(scale) => Datum::Decimal(number, scale),
        None => Datum::Int(number),
    })
}

/// Whether the bytes mean that there is no value.
pub fn is_sentinel(ty: &FieldType, bytes: &[u8]) -> bool {
    if ty.null.is_empty() {
        return false;
    }
    let raw = match ty.wire {
        Wire::Int { width, little, .. } => {
            Window::new(0, width, little).map(|at| i128::from(at.unsigned(bytes)))
        }
        Wire::Digits { .. } => digits(bytes),
        _ => None,
    };
    raw.is_some_and(|raw| ty.null.iter().any(|&null| i128::from(null) == raw))
}
