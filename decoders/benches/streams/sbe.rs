//! SBE messages with the shape of a futures exchange's incremental book: 2
//! entries of 32 bytes, and the orders behind them.

/// Few enough that some samples run without interruption on a busy machine.
pub const MESSAGES: usize = 256;
/// Levels of a message.
pub const ENTRIES: usize = 2;

/// The venue's schema.
pub const SCHEMA: &str = r#"<m:messageSchema xmlns:m="x" package="bench" id="1" version="1">
<types>
  <composite name="messageHeader">
    <type name="blockLength" primitiveType="uint16"/><type name="templateId" primitiveType="uint16"/>
    <type name="schemaId" primitiveType="uint16"/><type name="version" primitiveType="uint16"/>
  </composite>
  <composite name="size">
    <type name="blockLength" primitiveType="uint16"/><type name="numInGroup" primitiveType="uint8"/>
  </composite>
  <composite name="size8">
    <type name="blockLength" primitiveType="uint16"/><type name="numInGroup" primitiveType="uint8" offset="7"/>
  </composite>
  <composite name="Px">
    <type name="mantissa" primitiveType="int64" presence="optional" nullValue="9223372036854775807"/>
    <type name="exponent" primitiveType="int8" presence="constant">-9</type>
  </composite>
  <type name="QtyNULL" primitiveType="int32" presence="optional" nullValue="2147483647"/>
  <type name="RefNULL" primitiveType="uint8" presence="optional" nullValue="255"/>
  <enum name="Action" encodingType="uint8">
    <validValue name="New">0</validValue><validValue name="Change">1</validValue><validValue name="Delete">2</validValue>
  </enum>
  <enum name="Type" encodingType="char">
    <validValue name="Bid">0</validValue><validValue name="Offer">1</validValue><validValue name="Reset">J</validValue>
  </enum>
  <set name="Event" encodingType="uint8"><choice name="End">7</choice></set>
</types>
<m:message name="Book" id="46" blockLength="11">
  <field name="TransactTime" id="1" type="uint64"/>
  <field name="Event" id="2" type="Event"/>
  <group name="Entries" id="3" dimensionType="size" blockLength="32">
    <field name="Price" id="4" type="Px"/>
    <field name="Size" id="5" type="QtyNULL"/>
    <field name="SecurityID" id="6" type="int32"/>
    <field name="RptSeq" id="7" type="uint32"/>
    <field name="Orders" id="8" type="QtyNULL"/>
    <field name="Level" id="9" type="uint8"/>
    <field name="Action" id="10" type="Action"/>
    <field name="Type" id="11" type="Type"/>
  </group>
  <group name="OrderEntries" id="12" dimensionType="size8" blockLength="24">
    <field name="OrderID" id="13" type="uint64"/>
    <field name="Priority" id="14" type="uint64"/>
    <field name="Shown" id="15" type="QtyNULL"/>
    <field name="Reference" id="16" type="RefNULL"/>
    <field name="Update" id="17" type="Action"/>
  </group>
</m:message>
</m:messageSchema>"#;

/// What its fields mean.
pub const OVERLAY: &str = r#"
[sbe]
id = "bench.book"
title = "Bench"
source = "made up"
framings = []
schemas = [{ id = 1 }]
[enum.side]
0 = "buy"
1 = "sell"
[enum.kind]
0 = "level"
1 = "level"
J = "book.clear"
[enum.action]
0 = "new"
1 = "change"
2 = "delete"
[enum.order]
0 = "order.add"
1 = "order.modify"
2 = "order.delete"
[columns]
TransactTime = "ts_exch : ns"
"Event.End" = "flag : last_in_event"
Price = "price"
Size = "qty"
SecurityID = "instrument_id"
RptSeq = "instrument_seq"
Level = "level"
Action = "action : enum.action"
Type = "side : enum.side, kind : enum.kind"
OrderID = "order_id"
Shown = "qty"
Update = "kind : enum.order"
[instrument]
key = "SecurityID"
symbol = "Symbol"
from = [54]
[[message]]
templates = [46]
kind = "level"
rows = ["Entries", "OrderEntries"]
[[message.group]]
name = "OrderEntries"
refer = { group = "Entries", by = "Reference", take = ["price", "side", "instrument_id"] }
"#;

/// A message of some entries, and orders that refer to them.
pub fn message(n: u64, orders: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = [11u16, 46, 1, 1].iter().flat_map(|v| v.to_le_bytes()).collect();
    bytes.extend((1_700_000_000_000_000_000 + n).to_le_bytes());
    bytes.extend([0x84, 0, 0, 32, 0, ENTRIES as u8]);
    for entry in 0..ENTRIES as u64 {
        bytes.extend((4_500_250_000_000 + (n as i64) * 250_000_000).to_le_bytes());
        bytes.extend((10 + entry as i32).to_le_bytes());
        bytes.extend((10_000 + (n % 97) as i32).to_le_bytes());
        bytes.extend((70_000 + n as u32).to_le_bytes());
        bytes.extend(5i32.to_le_bytes());
        bytes.extend([1 + (n % 10) as u8, (n % 3) as u8, b'0' + (entry % 2) as u8]);
        bytes.extend([0; 5]);
    }
    bytes.extend([24, 0, 0, 0, 0, 0, 0, orders as u8]);
    for order in 0..orders as u64 {
        bytes.extend((n << 8 | order).to_le_bytes());
        bytes.extend(n.to_le_bytes());
        bytes.extend(3i32.to_le_bytes());
        bytes.extend([1 + (order % ENTRIES as u64) as u8, (order % 3) as u8, 0, 0]);
    }
    bytes
}
