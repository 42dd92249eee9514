// E0624: associated function `new` is private
use domicile::{
    policy::Decision,
    residency::{Placement, PlacementRecord},
    types::Timestamp,
};

pub fn forge(record: PlacementRecord, decision: Decision, until: Option<Timestamp>) -> Placement {
    Placement::new(record, decision, until)
}
