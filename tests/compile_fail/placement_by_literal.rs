// E0451: of struct `Placement` are private
use domicile::{
    policy::Decision,
    residency::{Placement, PlacementRecord},
    types::Timestamp,
};

pub fn forge(record: PlacementRecord, decision: Decision, until: Option<Timestamp>) -> Placement {
    Placement { record, decision, until }
}
