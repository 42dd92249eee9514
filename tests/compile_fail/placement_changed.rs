// E0616: field `record` of struct `Placement` is private
use domicile::residency::{Placement, PlannedCopy};

pub fn add_a_copy(placement: &mut Placement, copy: PlannedCopy) {
    placement.record.copies.push(copy);
}
