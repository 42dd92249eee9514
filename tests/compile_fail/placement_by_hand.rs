// E0624: associated function `new` is private
use domicile::{
    policy::Decision,
    residency::{Placement, PlacementRecord},
};

pub fn forge(record: PlacementRecord, decision: Decision) -> Placement {
    Placement::new(record, decision)
}
