//! A decision tree over the space of facts, grown only where something can still depend on it.

use std::rc::Rc;

use super::{
    Example,
    space::{About, Space, Value, enforced},
};
use crate::policy::{Condition, Field, Instrument, OnUnknown, Pattern, PolicySet};

/// More nodes than this are not looked at. What is beyond is said to be unknown, never taken to be well.
const MAX_NODES: usize = 1 << 16;

/// Something that applies or does not, depending on facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) what: What,
    /// Dimensions, and for each value of theirs whether the condition holds. All must.
    pub(super) conditions: Vec<(usize, Vec<bool>)>,
    /// Whether the tree is to split on it before others.
    pub(super) urgent: bool,
}

/// What an item stands for. Places are those in the set's list of instruments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Instrument(usize),
    Exception {
        /// The place of the instrument's item among the items.
        of: usize,
        instrument: usize,
        number: usize,
    },
    /// A rule of `gateway.toml`.
    Gateway,
}

/// Where the tree stands: which items apply for certain, and which may.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    values: Vec<Rc<[usize]>>,
    split: Vec<bool>,
    pub(super) subject: bool,
    pub(super) matched: Vec<usize>,
    pub(super) open: Vec<usize>,
}

/// A region in which every item either applies or does not.
#[derive(Debug)]
pub(super) struct Region<'t> {
    tree: &'t Tree<'t>,
    standing: &'t Standing,
}

/// The tree.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    space: &'a Space,
    items: &'a [Item],
    today: time::Date,
    /// The dimensions, those that most items depend on first, and days last.
    order: Vec<usize>,
    /// The values of each dimension that a record with a subject can have.
    with_subject: Vec<Rc<[usize]>>,
    without_subject: Vec<Rc<[usize]>>,
}

/// What to do at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing below is of interest.
    Stop,
    Go,
}

/// What grows with the tree.
pub(super) trait Visit {
    /// Asked at every node.
    fn enter(&mut self, _standing: &Standing) -> Way {
        Way::Go
    }

    /// Told of every region that was not left out.
    fn region(&mut self, region: &Region<'_>);
}

impl<'a> Tree<'a> {
    /// A tree over `space` that tells `items` apart.
    pub(super) fn new(space: &'a Space, sets: &[&PolicySet], items: &'a [Item], today: time::Date) -> Self {
        let asked = |dimension: usize| items.iter().flat_map(|i| &i.conditions).filter(|(at, _)| *at == dimension).count();
        let mut order: Vec<usize> = (0..space.dimensions.len()).collect();
        let is_day = |at: &usize| space.dimensions.get(*at).is_some_and(|dimension| dimension.about == About::Day);
        order.sort_by_key(|at| (is_day(at), std::cmp::Reverse(asked(*at))));
        let all = |length: usize| (0..length).collect::<Rc<[usize]>>();
        let mut with_subject = Vec::new();
        let mut without_subject = Vec::new();
        for dimension in &space.dimensions {
            let length = dimension.values.len();
            let (with, without) = match &dimension.about {
                About::Subject => (Rc::from([0]), Rc::from([1])),
                About::Field(Field::Attribute(name)) => {
                    let from = usize::from(!may_be_unknown(sets, name));
                    ((from..length).collect(), Rc::from([0]))
                }
                About::Field(_) | About::Day => (all(length), all(length)),
            };
            with_subject.push(with);
            without_subject.push(without);
        }
        Self { space, items, today, order, with_subject, without_subject }
    }

    /// Walks every region; answers whether that were all.
    pub(super) fn walk(&self, visit: &mut dyn Visit) -> bool {
        let mut nodes = 0;
        let mut complete = self.space.complete;
        for (subject, values) in [(true, &self.with_subject), (false, &self.without_subject)] {
            let root = Standing {
                values: values.clone(),
                split: vec![false; values.len()],
                subject,
                matched: Vec::new(),
                open: (0..self.items.len()).collect(),
            };
            complete &= self.grow(&self.settled(root), visit, &mut nodes);
        }
        complete
    }

    fn grow(&self, standing: &Standing, visit: &mut dyn Visit, nodes: &mut usize) -> bool {
        *nodes += 1;
        if *nodes > MAX_NODES {
            return false;
        }
        if visit.enter(standing) == Way::Stop {
            return true;
        }
        let Some(dimension) = self.next(standing) else {
            visit.region(&Region { tree: self, standing });
            return true;
        };
        let mut complete = true;
        for group in self.groups(standing, dimension) {
            let mut below = standing.clone();
            if let (Some(values), Some(split)) = (below.values.get_mut(dimension), below.split.get_mut(dimension)) {
                (*values, *split) = (group, true);
            }
            complete &= self.grow(&self.settled(below), visit, nodes);
        }
        complete
    }

    /// Sorts the open items into those that apply, those that do not and those that still may.
    fn settled(&self, mut standing: Standing) -> Standing {
        let open = std::mem::take(&mut standing.open);
        for at in open {
            let Some(item) = self.items.get(at) else { continue };
            let alive = |of: &usize| standing.matched.contains(of) || standing.open.contains(of);
            if matches!(&item.what, What::Exception { of, .. } if !alive(of)) {
                continue;
            }
            let mut holds = item.conditions.iter().map(|(dimension, holding)| standing.truth(*dimension, holding));
            let worst = holds.try_fold(Truth::Always, |worst, truth| match truth {
                Truth::Never => None,
                truth => Some(worst.max(truth)),
            });
            match worst {
                Some(Truth::Always) => standing.matched.push(at),
                Some(_) => standing.open.push(at),
                None => {}
            }
        }
        // In the order of instruments, as decisions weigh them.
        standing.matched.sort_unstable();
        standing
    }

    /// The dimension to split on.
    fn next(&self, standing: &Standing) -> Option<usize> {
        let decided = |item: &Item| match &item.what {
            What::Exception { of, .. } => standing.matched.contains(of),
            What::Instrument(_) | What::Gateway => true,
        };
        let open = || standing.open.iter().filter_map(|at| self.items.get(*at)).filter(|item| decided(item));
        let asks = |item: &Item, wanted: usize| {
            item.conditions.iter().any(|(at, holding)| *at == wanted && standing.truth(*at, holding) == Truth::Sometimes)
        };
        let urgent = self.order.iter().copied().find(|at| open().any(|item| item.urgent && asks(item, *at)));
        urgent.or_else(|| self.order.iter().copied().find(|at| open().any(|item| asks(item, *at))))
    }

    /// The values of a dimension, those together that no open item tells apart.
    fn groups(&self, standing: &Standing, dimension: usize) -> Vec<Rc<[usize]>> {
        let items = standing.open.iter().filter_map(|at| self.items.get(*at));
        let conditions: Vec<&Vec<bool>> =
            items.flat_map(|item| &item.conditions).filter(|(at, _)| *at == dimension).map(|(_, holding)| holding).collect();
        let mut groups: Vec<(Vec<bool>, Vec<usize>)> = Vec::new();
        for &value in standing.values.get(dimension).into_iter().flat_map(|values| values.iter()) {
            let holding: Vec<bool> = conditions.iter().map(|holding| holding.get(value).copied().unwrap_or(false)).collect();
            match groups.iter_mut().find(|(same, _)| *same == holding) {
                Some((_, values)) => values.push(value),
                None => groups.push((holding, vec![value])),
            }
        }
        groups.into_iter().map(|(_, values)| Rc::from(values)).collect()
    }
}

/// What is known of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    Always,
    Sometimes,
    Never,
}

impl Standing {
    fn truth(&self, dimension: usize, holding: &[bool]) -> Truth {
        let values = || self.values.get(dimension).into_iter().flat_map(|values| values.iter());
        let holds = |value: &usize| holding.get(*value).copied().unwrap_or(false);
        if values().all(holds) {
            Truth::Always
        } else if values().any(holds) {
            Truth::Sometimes
        } else {
            Truth::Never
        }
    }
}

impl Region<'_> {
    /// The items that apply.
    pub(super) fn matched(&self) -> &[usize] {
        &self.standing.matched
    }

    /// Facts of the region. Told of them is what the items `about` depend on or, if that is nothing, what the tree split on.
    pub(super) fn example(&self, about: &[usize]) -> Option<Example> {
        let dimensions = self.standing.values.len();
        let mut matter = vec![false; dimensions];
        for (dimension, _) in about.iter().filter_map(|at| self.tree.items.get(*at)).flat_map(|item| &item.conditions) {
            if let Some(matters) = matter.get_mut(*dimension) {
                *matters = true;
            }
        }
        if matter.iter().all(|matters| !matters) {
            matter.clone_from(&self.standing.split);
        }
        let chosen: Vec<usize> = self.standing.values.iter().map(|values| values.first().copied().unwrap_or(0)).collect();
        self.tree.space.example(&chosen, &matter, self.tree.today)
    }
}

/// Whether a record of somebody can come to the instruments without this attribute, or be refused for that by one of the sets.
fn may_be_unknown(sets: &[&PolicySet], name: &str) -> bool {
    let rules: Vec<Option<&OnUnknown>> =
        sets.iter().map(|set| set.gateway.attributes.get(name).map(|rule| &rule.unknown)).collect();
    let differ = rules.windows(2).any(|pair| pair.first() != pair.last());
    differ || rules.iter().any(|rule| matches!(rule, None | Some(OnUnknown::Omit)))
}

/// The items of one set: each instrument that is not off and is `wanted`, followed by its exceptions, then the gateway's own rules.
pub(super) fn items(space: &Space, set: &PolicySet, wanted: impl Fn(&Instrument) -> bool) -> Vec<Item> {
    let mut items = Vec::new();
    for (instrument, rules) in enforced(set).filter(|(_, instrument)| wanted(instrument)) {
        let of = items.len();
        let days = (rules.effective, rules.until);
        items.push(item(space, set, What::Instrument(instrument), &rules.when, days));
        for (number, exception) in rules.exceptions.iter().enumerate() {
            let what = What::Exception { of, instrument, number };
            items.push(item(space, set, what, &exception.when, (None, exception.expires)));
        }
    }
    items.extend(gateway_items(space, set));
    items
}

type Days = (Option<time::Date>, Option<time::Date>);

fn item(space: &Space, set: &PolicySet, what: What, when: &[Condition], (from, until): Days) -> Item {
    let mut conditions: Vec<(usize, Vec<bool>)> = Vec::new();
    for condition in when {
        let assumed = match &condition.field {
            Field::Attribute(name) => set.gateway.attributes.get(name).and_then(|rule| match &rule.unknown {
                OnUnknown::Assume(value) => Some(value.as_str()),
                OnUnknown::Reject | OnUnknown::Omit => None,
            }),
            _ => None,
        };
        let about = About::Field(condition.field.clone());
        conditions.extend(holding(space, &about, |value| value.satisfies(condition, assumed)));
    }
    if from.is_some() || until.is_some() {
        let in_effect = |value: &Value| {
            matches!(value, Value::Day(day) if from.is_none_or(|from| from <= *day) && until.is_none_or(|until| *day <= until))
        };
        conditions.extend(holding(space, &About::Day, in_effect));
    }
    Item { what, conditions, urgent: false }
}

/// Which bucket rule of `[no-subject]` fits, and what must be known of a subject.
fn gateway_items(space: &Space, set: &PolicySet) -> Vec<Item> {
    let mut items = Vec::new();
    for (glob, _) in &set.gateway.no_subject.buckets {
        let nobody = holding(space, &About::Subject, |value| *value == Value::Subject(false));
        let pattern = Pattern::Name(glob.clone());
        let condition = Condition { field: Field::Bucket, any_of: vec![pattern], negated: false, origins: Vec::new() };
        let fits = holding(space, &About::Field(Field::Bucket), |value| value.satisfies(&condition, None));
        items.push(Item { what: What::Gateway, conditions: nobody.into_iter().chain(fits).collect(), urgent: false });
    }
    for (name, _) in set.gateway.attributes.iter().filter(|(_, rule)| rule.unknown == OnUnknown::Reject) {
        let unknown = holding(space, &About::Field(Field::Attribute(name.clone())), |value| *value == Value::Text(None));
        let somebody = holding(space, &About::Subject, |value| *value == Value::Subject(true));
        items.push(Item { what: What::Gateway, conditions: somebody.into_iter().chain(unknown).collect(), urgent: false });
    }
    items
}

fn holding(space: &Space, about: &About, holds: impl Fn(&Value) -> bool) -> Option<(usize, Vec<bool>)> {
    let place = space.place(about)?;
    Some((place, space.dimensions.get(place)?.values.iter().map(holds).collect()))
}
