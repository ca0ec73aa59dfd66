//! Lays a layer over what is below it. Nodes are in the order of their paths' bytes, before and after.
//!
//! Nearly every layer lists the directories its files are in, names nothing twice and replaces no directory by a file. The order of its members
//! means nothing then, and two lists in order are merged ([`in_one_go`]). Every other layer is laid over member by member ([`one_by_one`]), which
//! says what the result has to be.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    mem,
    ops::Bound,
};

use super::{Pile, Place, Slot};
use crate::{
    evidence::{Entry, EntryKind, LayerEvidence},
    path,
};

/// Directories whose inside may still come, at most. Only names made for the purpose need more.
const OPEN: usize = 300;

/// Gives the slots back when the layer is not that simple.
pub(super) fn in_one_go(pile: &mut Pile, below: Vec<Slot>, layer: usize, evidence: &LayerEvidence) -> Result<Vec<Slot>, Vec<Slot>> {
    let Some(mut sheet) = Sheet::of(layer, evidence, pile, &below) else { return Err(below) };
    let Some(order) = sheet.over(pile, &below) else { return Err(below) };
    let slot = |origin: Origin| match origin {
        Origin::Below(slot) => Some(slot),
        Origin::Layer(at) => sheet.slot(at, &mut pile.own),
    };
    Ok(order.into_iter().filter_map(slot).collect())
}

/// Where a node comes from: from below, or from an entry of the layer.
enum Origin {
    Below(Slot),
    Layer(usize),
}

/// A layer in which the order of members means nothing.
struct Sheet<'a> {
    layer: usize,
    entries: &'a [Entry],
    /// Entries that are there to be seen, in the order of their paths.
    made: Vec<usize>,
    /// What hard links among them have become.
    links: HashMap<usize, Linked>,
    /// Slots below at which something hidden begins (1) or ends (-1), in order.
    hidden: Vec<(usize, i32)>,
}

/// What a hard link is, and where its content.
type Linked = (Entry, Option<(u32, u32)>);

impl<'a> Sheet<'a> {
    /// `None` when it is not such a layer.
    fn of(layer: usize, evidence: &'a LayerEvidence, pile: &Pile, below: &[Slot]) -> Option<Self> {
        let entries = evidence.entries.as_slice();
        let mut sheet = Self { layer, entries, made: Vec::with_capacity(entries.len()), links: HashMap::new(), hidden: Vec::new() };
        let (mut open, mut opaque): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut former = "";
        for &at in &evidence.by_path {
            let entry = entries.get(at as usize)?;
            let repeated = match former.cmp(&entry.path) {
                Ordering::Less => false,
                Ordering::Equal => sheet.made.last().is_some_and(|&last| entries[last].path == entry.path),
                Ordering::Greater => return None,
            };
            if !stands_in(&mut open, &entry.path) {
                return None;
            }
            former = &entry.path;
            match entry.kind {
                EntryKind::Whiteout => sheet.hide(&entry.path, true, pile, below),
                EntryKind::OpaqueDir => {
                    sheet.hide(&entry.path, false, pile, below);
                    opaque.push(&entry.path);
                }
                _ if entry.path.is_empty() => {}
                _ if repeated || open.len() > OPEN => return None,
                EntryKind::Dir => {
                    open.push(&entry.path);
                    sheet.made.push(at as usize);
                }
                _ => sheet.made.push(at as usize),
            }
        }
        sheet.hidden.sort_unstable();
        let is_dir = |path: &str| path.is_empty() || sheet.listed(path).is_some_and(|at| entries[at].kind == EntryKind::Dir);
        let simple = evidence.by_path.len() == entries.len() && opaque.into_iter().all(is_dir) && sheet.link(pile, below);
        simple.then_some(sheet)
    }

    /// Hides what is below at a path, or only what is inside of it.
    fn hide(&mut self, path: &str, itself: bool, pile: &Pile, below: &[Slot]) {
        let range = pile.inside(below, path);
        self.hidden.extend([(range.start, 1), (range.end, -1)]);
        if let Some(at) = pile.find(below, path).ok().filter(|_| itself) {
            self.hidden.extend([(at, 1), (at + 1, -1)]);
        }
    }

    /// The entry with a path, if the layer makes one.
    fn listed(&self, path: &str) -> Option<usize> {
        let found = self.made.binary_search_by(|&at| self.entries[at].path.as_str().cmp(path));
        found.ok().map(|at| self.made[at])
    }

    /// Finds out what the hard links are. False when that depends on the order of members.
    fn link(&mut self, pile: &Pile, below: &[Slot]) -> bool {
        let mut links: Vec<(usize, &str)> = Vec::new();
        for &at in &self.made {
            if let EntryKind::Hardlink(target) = &self.entries[at].kind {
                links.push((at, target));
            }
        }
        links.sort_unstable();
        for (at, target) in links {
            let (entry, content) = match self.listed(target) {
                Some(other) if other >= at => return false,
                Some(other) => match &self.entries[other] {
                    Entry { kind: EntryKind::Dir, .. } => continue,
                    Entry { kind: EntryKind::Hardlink(_), .. } => match self.links.get(&other) {
                        Some((entry, content)) => (entry, *content),
                        None => return false,
                    },
                    entry => (entry, (entry.kind == EntryKind::File).then_some((self.layer as u32, other as u32))),
                },
                None => match pile.find(below, target).ok().and_then(|found| below.get(found)) {
                    Some(_) if !self.hidden.is_empty() => return false,
                    Some(found) if !pile.is_dir(found) => (pile.entry(found), found.content),
                    _ => continue,
                },
            };
            let linked = (Entry { path: self.entries[at].path.clone(), ..entry.clone() }, content);
            self.links.insert(at, linked);
        }
        true
    }

    /// Both in order. `None` when a directory below is replaced by something else: its inside would have to go.
    fn over(&self, pile: &Pile, below: &[Slot]) -> Option<Vec<Origin>> {
        let mut order = Vec::with_capacity(below.len() + self.made.len());
        let makes = |at: &usize| !matches!(self.entries[*at].kind, EntryKind::Hardlink(_)) || self.links.contains_key(at);
        let mut made = self.made.iter().copied().filter(makes).peekable();
        let mut edges = self.hidden.iter().peekable();
        let mut depth = 0;
        for (at, slot) in below.iter().enumerate() {
            while let Some((_, step)) = edges.next_if(|edge| edge.0 <= at) {
                depth += step;
            }
            let theirs = pile.entry(slot);
            let mut is_replaced = false;
            while let Some(&ours) = made.peek() {
                let entry = &self.entries[ours];
                match entry.path.cmp(&theirs.path) {
                    Ordering::Greater => break,
                    Ordering::Equal if depth == 0 && theirs.kind == EntryKind::Dir && entry.kind != EntryKind::Dir => return None,
                    Ordering::Equal => is_replaced = true,
                    Ordering::Less => {}
                }
                order.push(Origin::Layer(ours));
                made.next();
            }
            if depth == 0 && !is_replaced {
                order.push(Origin::Below(*slot));
            }
        }
        order.extend(made.map(Origin::Layer));
        Some(order)
    }

    fn slot(&mut self, at: usize, own: &mut Vec<Entry>) -> Option<Slot> {
        let layer = self.layer as u32;
        let content = match self.entries.get(at)?.kind {
            EntryKind::Hardlink(_) => {
                let (entry, content) = self.links.remove(&at)?;
                own.push(entry);
                return Some(Slot { layer, entry: Place::Own((own.len() - 1) as u32), content });
            }
            EntryKind::File => Some((layer, at as u32)),
            _ => None,
        };
        Some(Slot { layer, entry: Place::Layer(at as u32), content })
    }
}

/// Whether the directory of a path is among those whose inside may still come. Paths come in order; those whose inside is complete go.
fn stands_in(open: &mut Vec<&str>, path: &str) -> bool {
    let Some((above, _)) = path.rsplit_once('/') else { return true };
    while let Some(last) = open.last() {
        let is_complete = path.strip_prefix(last).is_none_or(|rest| rest.as_bytes().first() > Some(&b'/'));
        if !is_complete {
            break;
        }
        open.pop();
    }
    open.iter().rev().any(|directory| *directory == above)
}

/// Lays a layer over member by member.
pub(super) fn one_by_one(pile: &mut Pile, below: Vec<Slot>, layer: usize, evidence: &LayerEvidence) -> Vec<Slot> {
    let mut own: Vec<Option<Entry>> = mem::take(&mut pile.own).into_iter().map(Some).collect();
    let mut nodes = Nodes { pile, layer, drafts: BTreeMap::new() };
    for slot in below {
        let made = if let Place::Own(at) = slot.entry { own.get_mut(at as usize).and_then(Option::take).map(Box::new) } else { None };
        let path = made.as_deref().map_or_else(|| nodes.pile.path(&slot).to_owned(), |entry| entry.path.clone());
        nodes.drafts.insert(path, Draft { slot, made });
    }
    // OCI image specification, layers: a whiteout hides what is below its layer, wherever in the layer it stands.
    for entry in &evidence.entries {
        match entry.kind {
            EntryKind::Whiteout => nodes.remove(&entry.path),
            EntryKind::OpaqueDir => nodes.remove_inside(&entry.path),
            _ => {}
        }
    }
    let mut parent = None;
    for (index, entry) in evidence.entries.iter().enumerate() {
        nodes.add(index, entry, &mut parent);
    }
    let Nodes { pile, drafts, .. } = nodes;
    let finish = |Draft { mut slot, made }: Draft| {
        if let Some(entry) = made {
            slot.entry = Place::Own(pile.own.len() as u32);
            pile.own.push(*entry);
        }
        slot
    };
    drafts.into_values().map(finish).collect()
}

/// A node in the making.
struct Draft {
    slot: Slot,
    /// Its entry, where no layer has it.
    made: Option<Box<Entry>>,
}

struct Nodes<'a> {
    pile: &'a mut Pile,
    layer: usize,
    drafts: BTreeMap<String, Draft>,
}

impl Nodes<'_> {
    fn entry<'d>(&'d self, draft: &'d Draft) -> &'d Entry {
        draft.made.as_deref().unwrap_or_else(|| self.pile.entry(&draft.slot))
    }

    fn add(&mut self, index: usize, entry: &Entry, parent: &mut Option<String>) {
        if entry.path.is_empty() {
            return;
        }
        let above = entry.path.rsplit_once('/').map_or("", |(above, _)| above);
        if parent.as_deref() != Some(above) {
            self.make_directories(&entry.path);
            *parent = Some(above.to_owned());
        }
        let (layer, at) = (self.layer as u32, index as u32);
        let listed = |content| Draft { slot: Slot { layer, entry: Place::Layer(at), content }, made: None };
        let draft = match &entry.kind {
            EntryKind::Whiteout => return,
            EntryKind::OpaqueDir => return self.make_directory(&entry.path),
            EntryKind::Hardlink(target) => match self.drafts.get(target) {
                Some(found) if self.entry(found).kind != EntryKind::Dir => {
                    let made = Entry { path: entry.path.clone(), ..self.entry(found).clone() };
                    Draft { slot: Slot { layer, ..found.slot }, made: Some(Box::new(made)) }
                }
                _ => return,
            },
            EntryKind::File => listed(Some((layer, at))),
            _ => listed(None),
        };
        let is_dir = entry.kind == EntryKind::Dir;
        let replaced = self.drafts.insert(entry.path.clone(), draft);
        if !is_dir && replaced.is_some_and(|draft| self.entry(&draft).kind == EntryKind::Dir) {
            self.remove_inside(&entry.path);
            *parent = None;
        }
    }

    /// Makes every directory above `path`: unpacking a layer needs them, also above a whiteout.
    fn make_directories(&mut self, path: &str) {
        for above in path::ancestors(path) {
            self.make_directory(above);
        }
    }

    /// Makes a directory the layer does not list (yet), in the place of whatever else is there. As on disk, it hides the mode and the owner of
    /// one below.
    fn make_directory(&mut self, path: &str) {
        let layer = self.layer as u32;
        let stays = |draft: &Draft| self.entry(draft).kind == EntryKind::Dir && draft.slot.layer >= layer;
        if !self.drafts.get(path).is_some_and(stays) {
            let made = Entry { path: path.to_owned(), kind: EntryKind::Dir, mode: 0o755, uid: 0, gid: 0, size: 0 };
            let slot = Slot { layer, entry: Place::Own(0), content: None };
            self.drafts.insert(path.to_owned(), Draft { slot, made: Some(Box::new(made)) });
        }
    }

    fn remove(&mut self, path: &str) {
        if self.drafts.remove(path).is_some_and(|draft| self.entry(&draft).kind == EntryKind::Dir) {
            self.remove_inside(path);
        }
    }

    fn remove_inside(&mut self, path: &str) {
        // From the first to the first behind them: `0` follows `/`.
        let (from, to) = if path.is_empty() { (String::new(), None) } else { (format!("{path}/"), Some(format!("{path}0"))) };
        // One by one: cutting the map apart and joining it costs its whole length, and a hostile layer asks for it half a million times.
        loop {
            let behind = to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.drafts.range::<str, _>((Bound::Included(from.as_str()), behind)).next().map(|(path, _)| path.clone());
            let Some(next) = next else { return };
            self.drafts.remove(&next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::tree::tests::layer;

    fn kind() -> impl Strategy<Value = EntryKind> {
        use EntryKind::{Dir, File, Hardlink, OpaqueDir, Symlink, Whiteout};
        let link = "[abc]{1}(/[abc.]{1}){0,2}";
        let links = (link, any::<bool>()).prop_map(|(target, hard)| if hard { Hardlink(target) } else { Symlink(target) });
        prop_oneof![6 => Just(File), 3 => Just(Dir), 1 => Just(Whiteout), 1 => Just(OpaqueDir), 2 => links]
    }

    /// Layers of which many list all their directories, in any order.
    fn any_layer() -> impl Strategy<Value = LayerEvidence> {
        let members = vec(("[abc]{1}(/[abc.]{1}){0,2}", kind()), 0..8);
        (members, any::<bool>(), any::<bool>()).prop_map(|(mut members, lists, repeats)| {
            if lists {
                let above: Vec<String> = members.iter().flat_map(|(path, _)| path::ancestors(path)).map(str::to_owned).collect();
                members.extend(above.into_iter().map(|path| (path, EntryKind::Dir)));
            }
            if !repeats {
                let mut seen = std::collections::HashSet::new();
                members.reverse();
                members.retain(|(path, kind)| *kind == EntryKind::OpaqueDir || seen.insert(path.clone()));
            }
            layer(&members.iter().map(|(path, kind)| (path.as_str(), kind.clone())).collect::<Vec<_>>())
        })
    }

    /// What the slots are, without where it is kept.
    fn plain(pile: &Pile, slots: &[Slot]) -> Vec<(u32, Linked)> {
        slots.iter().map(|slot| (slot.layer, (pile.entry(slot).clone(), slot.content))).collect()
    }

    fn pile(layers: &[LayerEvidence]) -> Pile {
        Pile { layers: layers.iter().cloned().map(Arc::new).collect(), own: Vec::new() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn both_ways_lead_to_the_same(layers in vec(any_layer(), 1..4)) {
            let (mut quick, mut right) = (pile(&layers), pile(&layers));
            let (mut fast, mut slots) = (Vec::new(), Vec::new());
            for (at, layer) in layers.iter().enumerate() {
                slots = one_by_one(&mut right, slots, at, layer);
                prop_assert!(slots.is_sorted_by(|a, b| right.path(a) < right.path(b)));
                fast = in_one_go(&mut quick, fast, at, layer).unwrap_or_else(|below| one_by_one(&mut quick, below, at, layer));
                prop_assert_eq!(plain(&quick, &fast), plain(&right, &slots));
            }
        }
    }

    #[test]
    fn usual_layers_are_laid_over_in_one_go() {
        use EntryKind::{Dir, File, Hardlink, OpaqueDir, Whiteout};
        let below = layer(&[("b", Dir), ("b/x", File), ("b.c", File), ("a", Hardlink("b/x".into())), ("d", Dir), ("d/y", File)]);
        let above = layer(&[("b", Dir), ("b/x", Whiteout), ("b/z", File), ("d", OpaqueDir), ("d", Dir), ("d/e", Dir), ("a", File)]);
        let mut pile = pile(&[below.clone(), above.clone()]);
        let slots = in_one_go(&mut pile, Vec::new(), 0, &below).unwrap();
        let both = in_one_go(&mut pile, slots.clone(), 1, &above).unwrap();
        let paths: Vec<_> = both.iter().map(|slot| (pile.path(slot), slot.layer)).collect();
        assert_eq!(paths, [("a", 1), ("b", 1), ("b.c", 0), ("b/z", 1), ("d", 1), ("d/e", 1)]);
        for unusual in [
            &[("b/z", File)][..],
            &[("b", File)],
            &[("z", File), ("z", Dir)],
            &[("z", Hardlink("zz".into())), ("zz", File)],
            &[("z/y", Whiteout)],
            &[("z", OpaqueDir)],
        ] {
            assert!(in_one_go(&mut pile, slots.clone(), 1, &layer(unusual)).is_err(), "{unusual:?}");
        }
        let mut unsorted = above;
        unsorted.by_path.clear();
        assert!(in_one_go(&mut pile, slots, 1, &unsorted).is_err());
    }
}
