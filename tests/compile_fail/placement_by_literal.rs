// E0451: of struct `Placement` are private
use domicile::{
    policy::Decision,
    residency::{Placement, PlacementRecord},
};

pub fn forge(record: PlacementRecord, decision: Decision) -> Placement {
    Placement { record, decision }
}
