//! Lays a layer over what is below it. Nodes are in the order of their paths' bytes, before and after.
//!
//! Nearly every layer lists the directories its files are in, names nothing twice and replaces no directory by a file. The order of its members
//! means nothing then, and two lists in order are merged ([`in_one_go`]). Every other layer is laid over member by member ([`one_by_one`]), which
//! says what the result has to be.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use super::{Node, find, implied, inside};
use crate::{
    evidence::{Entry, EntryKind, LayerEvidence},
    path,
};

/// Directories whose inside may still come, at most. Only names made for the purpose need more.
const OPEN: usize = 300;

/// Gives the nodes back when the layer is not that simple.
pub(super) fn in_one_go(below: Vec<Node>, layer: usize, evidence: &LayerEvidence) -> Result<Vec<Node>, Vec<Node>> {
    let Some(mut sheet) = Sheet::of(layer, evidence, &below) else { return Err(below) };
    let Some(order) = sheet.over(&below) else { return Err(below) };
    let mut below: Vec<Option<Node>> = below.into_iter().map(Some).collect();
    let node = |from: Origin| match from {
        Origin::Below(at) => below.get_mut(at).and_then(Option::take),
        Origin::Layer(at) => sheet.node(at),
    };
    Ok(order.into_iter().filter_map(node).collect())
}

/// Where a node comes from: its index below, or among the entries of the layer.
enum Origin {
    Below(usize),
    Layer(usize),
}

/// A layer in which the order of members means nothing.
struct Sheet<'a> {
    layer: usize,
    entries: &'a [Entry],
    /// Entries that are there to be seen, in the order of their paths.
    made: Vec<usize>,
    /// What hard links among them have become.
    links: HashMap<usize, Node>,
    /// Nodes below at which something hidden begins (1) or ends (-1), in order.
    hidden: Vec<(usize, i32)>,
}

impl<'a> Sheet<'a> {
    /// `None` when it is not such a layer.
    fn of(layer: usize, evidence: &'a LayerEvidence, below: &[Node]) -> Option<Self> {
        let entries = evidence.entries.as_slice();
        let mut sheet = Self { layer, entries, made: Vec::with_capacity(entries.len()), links: HashMap::new(), hidden: Vec::new() };
        let (mut open, mut opaque): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut former = "";
        for &at in &evidence.by_path {
            let entry = entries.get(at as usize)?;
            if former > entry.path.as_str() || !stands_in(&mut open, &entry.path) {
                return None;
            }
            former = &entry.path;
            match entry.kind {
                EntryKind::Whiteout => sheet.hide(&entry.path, true, below),
                EntryKind::OpaqueDir => {
                    sheet.hide(&entry.path, false, below);
                    opaque.push(&entry.path);
                }
                _ if entry.path.is_empty() => {}
                _ if sheet.made.last().is_some_and(|&last| entries[last].path == entry.path) || open.len() > OPEN => return None,
                EntryKind::Dir => {
                    open.push(&entry.path);
                    sheet.made.push(at as usize);
                }
                _ => sheet.made.push(at as usize),
            }
        }
        sheet.hidden.sort_unstable();
        let is_dir = |path: &str| path.is_empty() || sheet.listed(path).is_some_and(|at| entries[at].kind == EntryKind::Dir);
        let simple = evidence.by_path.len() == entries.len() && opaque.into_iter().all(is_dir) && sheet.link(below);
        simple.then_some(sheet)
    }

    /// Hides what is below at a path, or only what is inside of it.
    fn hide(&mut self, path: &str, itself: bool, below: &[Node]) {
        let found = find(below, path).ok();
        let range = inside(below, path);
        self.hidden.extend([(range.start, 1), (range.end, -1)]);
        if let Some(at) = found.filter(|_| itself) {
            self.hidden.extend([(at, 1), (at + 1, -1)]);
        }
    }

    /// The entry with a path, if the layer makes one.
    fn listed(&self, path: &str) -> Option<usize> {
        let found = self.made.binary_search_by(|&at| self.entries[at].path.as_str().cmp(path));
        found.ok().map(|at| self.made[at])
    }

    /// Finds out what the hard links are. False when that depends on the order of members.
    fn link(&mut self, below: &[Node]) -> bool {
        let mut links: Vec<(usize, &str)> = Vec::new();
        for &at in &self.made {
            if let EntryKind::Hardlink(target) = &self.entries[at].kind {
                links.push((at, target));
            }
        }
        links.sort_unstable();
        for (at, target) in links {
            let path = || self.entries[at].path.clone();
            let node = match self.listed(target) {
                Some(other) if other >= at => return false,
                Some(other) => match &self.entries[other].kind {
                    EntryKind::Dir => continue,
                    EntryKind::Hardlink(_) => match self.links.get(&other) {
                        Some(node) => {
                            Node { layer: self.layer, entry: Entry { path: path(), ..node.entry.clone() }, content: node.content }
                        }
                        None => return false,
                    },
                    kind => {
                        let content = (*kind == EntryKind::File).then_some((self.layer, other));
                        Node { layer: self.layer, entry: Entry { path: path(), ..self.entries[other].clone() }, content }
                    }
                },
                None => match find(below, target).ok().and_then(|found| below.get(found)) {
                    Some(_) if !self.hidden.is_empty() => return false,
                    Some(found) if found.entry.kind != EntryKind::Dir => {
                        Node { layer: self.layer, entry: Entry { path: path(), ..found.entry.clone() }, content: found.content }
                    }
                    _ => continue,
                },
            };
            self.links.insert(at, node);
        }
        true
    }

    /// Both in order. `None` when a directory below is replaced by something else: its inside would have to go.
    fn over(&self, below: &[Node]) -> Option<Vec<Origin>> {
        let mut order = Vec::with_capacity(below.len() + self.made.len());
        let makes = |at: &usize| !matches!(self.entries[*at].kind, EntryKind::Hardlink(_)) || self.links.contains_key(at);
        let mut made = self.made.iter().copied().filter(makes).peekable();
        let mut edges = self.hidden.iter().peekable();
        let mut depth = 0;
        for (at, node) in below.iter().enumerate() {
            while let Some((_, step)) = edges.next_if(|edge| edge.0 <= at) {
                depth += step;
            }
            let mut is_replaced = false;
            while let Some(&ours) = made.peek() {
                match self.entries[ours].path.cmp(&node.entry.path) {
                    Ordering::Greater => break,
                    Ordering::Equal if depth == 0 && node.entry.kind == EntryKind::Dir && self.entries[ours].kind != EntryKind::Dir => {
                        return None;
                    }
                    Ordering::Equal => is_replaced = true,
                    Ordering::Less => {}
                }
                order.push(Origin::Layer(ours));
                made.next();
            }
            if depth == 0 && !is_replaced {
                order.push(Origin::Below(at));
            }
        }
        order.extend(made.map(Origin::Layer));
        Some(order)
    }

    fn node(&mut self, at: usize) -> Option<Node> {
        let entry = self.entries.get(at)?;
        match entry.kind {
            EntryKind::Hardlink(_) => self.links.remove(&at),
            EntryKind::File => Some(Node { layer: self.layer, entry: entry.clone(), content: Some((self.layer, at)) }),
            _ => Some(Node { layer: self.layer, entry: entry.clone(), content: None }),
        }
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
pub(super) fn one_by_one(below: Vec<Node>, layer: usize, evidence: &LayerEvidence) -> Vec<Node> {
    let mut nodes = Nodes(below.into_iter().map(|node| (node.entry.path.clone(), node)).collect());
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
        nodes.add(layer, index, entry, &mut parent);
    }
    nodes.0.into_values().collect()
}

struct Nodes(BTreeMap<String, Node>);

impl Nodes {
    fn add(&mut self, layer: usize, index: usize, entry: &Entry, parent: &mut Option<String>) {
        if entry.path.is_empty() {
            return;
        }
        let above = entry.path.rsplit_once('/').map_or("", |(above, _)| above);
        if parent.as_deref() != Some(above) {
            self.make_directories(layer, &entry.path);
            *parent = Some(above.to_owned());
        }
        let node = match &entry.kind {
            EntryKind::Whiteout => return,
            EntryKind::OpaqueDir => return self.make_directory(layer, &entry.path),
            EntryKind::Hardlink(target) => match self.0.get(target) {
                Some(found) if found.entry.kind != EntryKind::Dir => {
                    Node { layer, entry: Entry { path: entry.path.clone(), ..found.entry.clone() }, content: found.content }
                }
                _ => return,
            },
            EntryKind::File => Node { layer, entry: entry.clone(), content: Some((layer, index)) },
            _ => Node { layer, entry: entry.clone(), content: None },
        };
        let is_dir = node.entry.kind == EntryKind::Dir;
        let replaced = self.0.insert(entry.path.clone(), node);
        if !is_dir && replaced.is_some_and(|node| node.entry.kind == EntryKind::Dir) {
            self.remove_inside(&entry.path);
            *parent = None;
        }
    }

    /// Makes every directory above `path`: unpacking a layer needs them, also above a whiteout.
    fn make_directories(&mut self, layer: usize, path: &str) {
        for above in path::ancestors(path) {
            self.make_directory(layer, above);
        }
    }

    /// Makes a directory the layer does not list (yet), in the place of whatever else is there. As on disk, it hides the mode and the owner of
    /// one below.
    fn make_directory(&mut self, layer: usize, path: &str) {
        if self.0.get(path).is_none_or(|node| node.entry.kind != EntryKind::Dir || node.layer < layer) {
            self.0.insert(path.to_owned(), implied(layer, path));
        }
    }

    fn remove(&mut self, path: &str) {
        if self.0.remove(path).is_some_and(|node| node.entry.kind == EntryKind::Dir) {
            self.remove_inside(path);
        }
    }

    fn remove_inside(&mut self, path: &str) {
        // From the first to the first behind them: `0` follows `/`.
        let (from, to) = if path.is_empty() { (String::new(), None) } else { (format!("{path}/"), Some(format!("{path}0"))) };
        // One by one: cutting the map apart and joining it costs its whole length, and a hostile layer asks for it half a million times.
        loop {
            let behind = to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.0.range::<str, _>((Bound::Included(from.as_str()), behind)).next().map(|(path, _)| path.clone());
            let Some(next) = next else { return };
            self.0.remove(&next);
        }
    }
}

#[cfg(test)]
mod tests {
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn both_ways_lead_to_the_same(layers in vec(any_layer(), 1..4)) {
            let mut nodes = Vec::new();
            for (at, layer) in layers.iter().enumerate() {
                let right = one_by_one(nodes.clone(), at, layer);
                prop_assert!(right.is_sorted_by(|a, b| a.entry.path < b.entry.path));
                prop_assert_eq!(in_one_go(nodes, at, layer).unwrap_or_else(|_| right.clone()), right.clone());
                nodes = right;
            }
        }
    }

    #[test]
    fn usual_layers_are_laid_over_in_one_go() {
        use EntryKind::{Dir, File, Hardlink, OpaqueDir, Whiteout};
        let below = [("b", Dir), ("b/x", File), ("b.c", File), ("a", Hardlink("b/x".into())), ("d", Dir), ("d/y", File)];
        let below = in_one_go(Vec::new(), 0, &layer(&below)).unwrap();
        let above = [("b", Dir), ("b/x", Whiteout), ("b/z", File), ("d", OpaqueDir), ("d", Dir), ("d/e", Dir), ("a", File)];
        let nodes = in_one_go(below.clone(), 1, &layer(&above)).unwrap();
        let paths: Vec<_> = nodes.iter().map(|node| (node.entry.path.as_str(), node.layer)).collect();
        assert_eq!(paths, [("a", 1), ("b", 1), ("b.c", 0), ("b/z", 1), ("d", 1), ("d/e", 1)]);
        for unusual in [
            &[("b/z", File)][..],
            &[("b", File)],
            &[("z", File), ("z", Dir)],
            &[("z", Hardlink("zz".into())), ("zz", File)],
            &[("z/y", Whiteout)],
            &[("z", OpaqueDir)],
        ] {
            assert!(in_one_go(below.clone(), 1, &layer(unusual)).is_err(), "{unusual:?}");
        }
        let mut unsorted = layer(&above);
        unsorted.by_path.clear();
        assert!(in_one_go(below, 1, &unsorted).is_err());
    }
}
