//! The merged view of an image's layers: what a container of it would see.

mod merge;

use std::{ops::Range, sync::Arc};

use crate::evidence::{Entry, EntryKind, LayerEvidence};

/// Symbolic links followed for one path, as Linux does.
const LINKS: usize = 40;

/// A file, directory or link of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// Index of the layer it comes from, 0 at the bottom.
    pub layer: usize,
    /// The member. A directory that the topmost layer with something in it does not list has mode 0755 and owner 0:0, as on disk. Never a
    /// whiteout or an opaque marker; a hard link has become what it links to, under its own path.
    pub entry: &'a Entry,
    /// Where the content of a file is: index of the layer, and index in its [`LayerEvidence::entries`] (for a hard link, those of its target).
    pub content: Option<(usize, usize)>,
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Nothing there.
    #[error("{path:?} does not exist in the image")]
    Missing {
        /// The path up to the missing part, links followed.
        path: String,
    },
    /// Something that is no directory in the middle of the path.
    #[error("{path:?} is not a directory")]
    NotADirectory {
        /// What is no directory.
        path: String,
    },
    /// More than 40 symbolic links.
    #[error("{path:?} leads through more than 40 symbolic links")]
    Loop {
        /// As asked.
        path: String,
    },
}

/// The merged view. It shares the entries of its layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pile: Pile,
    root: Option<Slot>,
    /// Everything else, in the order of the paths' bytes.
    slots: Vec<Slot>,
}

/// What the nodes are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pile {
    layers: Vec<Arc<LayerEvidence>>,
    /// Entries that no layer has: directories that are not listed, and what hard links are.
    own: Vec<Entry>,
}

/// A node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    layer: u32,
    entry: Place,
    content: Option<(u32, u32)>,
}

/// Where its entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Index in its layer.
    Layer(u32),
    /// Index in [`Pile::own`].
    Own(u32),
}

/// The root of an image whose layers do not list it.
static ROOT: Entry = Entry { path: String::new(), kind: EntryKind::Dir, mode: 0o755, uid: 0, gid: 0, size: 0 };

impl Pile {
    fn entry(&self, slot: &Slot) -> &Entry {
        let found = match slot.entry {
            Place::Layer(at) => self.layers.get(slot.layer as usize).and_then(|layer| layer.entries.get(at as usize)),
            Place::Own(at) => self.own.get(at as usize),
        };
        found.unwrap_or(&ROOT)
    }

    fn path(&self, slot: &Slot) -> &str {
        &self.entry(slot).path
    }

    fn is_dir(&self, slot: &Slot) -> bool {
        self.entry(slot).kind == EntryKind::Dir
    }

    /// Where a path stands among slots that are in order, or where it would.
    fn find(&self, slots: &[Slot], path: &str) -> Result<usize, usize> {
        slots.binary_search_by(|slot| self.path(slot).cmp(path))
    }

    /// Where everything inside a directory stands among slots that are in order.
    fn inside(&self, slots: &[Slot], path: &str) -> Range<usize> {
        if path.is_empty() {
            return 0..slots.len();
        }
        // From the first to the first behind them: `0` follows `/`.
        let place = |end: &str| self.find(slots, &format!("{path}{end}")).unwrap_or_else(|at| at);
        place("/")..place("0")
    }
}

impl Tree {
    /// Merges layers, bottom to top: whiteouts, opaque directories, replaced files and directories, hard links.
    pub fn merge(layers: &[Arc<LayerEvidence>]) -> Self {
        let mut pile = Pile { layers: layers.to_vec(), own: Vec::new() };
        let mut slots = Vec::new();
        for (at, layer) in layers.iter().enumerate() {
            slots = merge::in_one_go(&mut pile, slots, at, layer).unwrap_or_else(|slots| merge::one_by_one(&mut pile, slots, at, layer));
        }
        let top = layers.last().map_or(&[][..], |layer| &layer.entries);
        // As the topmost layer has it.
        let listed = top.iter().rposition(|entry| entry.path.is_empty() && entry.kind != EntryKind::OpaqueDir);
        let root = listed.map(|at| Slot { layer: (layers.len() - 1) as u32, entry: Place::Layer(at as u32), content: None });
        Self { pile, root, slots }
    }

    fn node(&self, slot: &Slot) -> Node<'_> {
        let content = slot.content.map(|(layer, at)| (layer as usize, at as usize));
        Node { layer: slot.layer as usize, entry: self.pile.entry(slot), content }
    }

    fn root(&self) -> Node<'_> {
        let implied = || Node { layer: self.pile.layers.len().saturating_sub(1), entry: &ROOT, content: None };
        self.root.as_ref().map_or_else(implied, |slot| self.node(slot))
    }

    /// What is at `path` itself (a symbolic link is not followed, in none of its parts). Leading slashes do not matter.
    pub fn get(&self, path: &str) -> Option<Node<'_>> {
        match path.trim_start_matches('/') {
            "" => Some(self.root()),
            path => self.pile.find(&self.slots, path).ok().and_then(|at| self.slots.get(at)).map(|slot| self.node(slot)),
        }
    }

    /// What `path` means to a process in the container: symbolic links followed, never out of the image. `..` above the root is the root.
    pub fn resolve(&self, path: &str) -> Result<Node<'_>, ResolveError> {
        let parts = |path: &str| path.split('/').rev().filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect::<Vec<_>>();
        let mut left = parts(path);
        let mut node = self.root();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if node.entry.kind != EntryKind::Dir {
                return Err(ResolveError::NotADirectory { path: node.entry.path.clone() });
            }
            let at = &node.entry.path;
            if part == ".." {
                node = self.get(at.rsplit_once('/').map_or("", |(parent, _)| parent)).unwrap_or_else(|| self.root());
                continue;
            }
            let next = if at.is_empty() { part } else { format!("{at}/{part}") };
            let Some(found) = self.get(&next) else { return Err(ResolveError::Missing { path: next }) };
            let EntryKind::Symlink(target) = &found.entry.kind else {
                node = found;
                continue;
            };
            links += 1;
            if links > LINKS {
                return Err(ResolveError::Loop { path: path.to_owned() });
            }
            if target.starts_with('/') {
                node = self.root();
            }
            left.extend(parts(target));
        }
        Ok(node)
    }

    /// Everything but the root, in the order of the paths' bytes.
    pub fn iter(&self) -> impl Iterator<Item = Node<'_>> {
        self.slots.iter().map(|slot| self.node(slot))
    }

    /// Everything under a directory, at any depth, in the order of the paths' bytes. Leading slashes do not matter.
    pub fn inside(&self, path: &str) -> impl Iterator<Item = Node<'_>> {
        let range = self.pile.inside(&self.slots, path.trim_start_matches('/'));
        self.slots.get(range).unwrap_or_default().iter().map(|slot| self.node(slot))
    }

    /// Number of nodes, without the root.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Map;

    use model::digest::Digest;
    use proptest::prelude::*;

    use super::*;
    use crate::{evidence::Compression, path};

    pub(super) fn layer(entries: &[(&str, EntryKind)]) -> LayerEvidence {
        let entry =
            |(path, kind): &(&str, EntryKind)| Entry { path: (*path).to_owned(), kind: kind.clone(), mode: 0o700, uid: 1, gid: 1, size: 9 };
        let entries: Vec<Entry> = entries.iter().map(entry).collect();
        LayerEvidence {
            digest: Digest::of(b""),
            diff_id: None,
            compression: Compression::None,
            size: 0,
            uncompressed_size: 0,
            by_path: crate::by_path(&entries),
            entries,
            files: Map::new(),
            told: crate::Told::default(),
            problems: vec![],
        }
    }

    fn merged(layers: &[&[(&str, EntryKind)]]) -> Tree {
        Tree::merge(&layers.iter().map(|entries| Arc::new(layer(entries))).collect::<Vec<_>>())
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.iter().map(|node| node.entry.path.as_str()).collect()
    }

    use EntryKind::{Dir, File, OpaqueDir, Whiteout};
    fn symlink(target: &str) -> EntryKind {
        EntryKind::Symlink(target.to_owned())
    }
    fn hardlink(target: &str) -> EntryKind {
        EntryKind::Hardlink(target.to_owned())
    }

    #[test]
    fn whiteouts_hide_what_is_below_and_not_beside() {
        let tree = merged(&[
            &[("a", Dir), ("a/x", File), ("ab", File), ("c", File)],
            &[("new", File), ("new", Whiteout), ("a", Whiteout), ("c", Whiteout), ("c", File), ("nothing", Whiteout)],
        ]);
        assert_eq!(paths(&tree), ["ab", "c", "new"]);
        assert_eq!(tree.get("c").unwrap().layer, 1);
    }

    #[test]
    fn an_opaque_directory_keeps_itself_and_what_its_layer_adds() {
        let tree = merged(&[&[("a/x", File), ("a/d/y", File), ("a.b", File)], &[("a/z", File), ("a", OpaqueDir)]]);
        assert_eq!(paths(&tree), ["a", "a.b", "a/z"]);
        let emptied = merged(&[&[("a/x", File)], &[("", OpaqueDir), ("b", File)]]);
        assert_eq!(paths(&emptied), ["b"]);
    }

    #[test]
    fn files_and_directories_replace_each_other() {
        let tree = merged(&[&[("a/x", File), ("b", File)], &[("a", File), ("b/y", File)]]);
        assert_eq!(paths(&tree), ["a", "b", "b/y"]);
        assert_eq!(tree.get("a").unwrap().entry.kind, File);
        let again = merged(&[&[("a/x", File)], &[("a", File)], &[("a", Dir), ("a/z", File)]]);
        assert_eq!(paths(&again), ["a", "a/z"]);
        let same_layer = merged(&[&[("a/x", File), ("a", symlink("b")), ("a/y", File)]]);
        assert_eq!(paths(&same_layer), ["a", "a/y"]);
    }

    #[test]
    fn a_directory_listed_again_keeps_its_content_and_takes_the_new_owner() {
        let tree = merged(&[&[("a/x", File)], &[("a", Dir)]]);
        assert_eq!(paths(&tree), ["a", "a/x"]);
        assert_eq!((tree.get("/a").unwrap().entry.mode, tree.get("a").unwrap().layer), (0o700, 1));
        assert_eq!(merged(&[&[("a", Dir)], &[("a/x", File)]]).get("a").unwrap().entry.mode, 0o755);
    }

    #[test]
    fn hard_links_keep_their_content_when_the_target_changes() {
        let tree = merged(&[
            &[("a", File), ("b", hardlink("a"))],
            &[("a", File), ("c", hardlink("b")), ("d", hardlink("gone")), ("e", hardlink("/"))],
        ]);
        assert_eq!(paths(&tree), ["a", "b", "c"]);
        assert_eq!(tree.get("a").unwrap().content, Some((1, 0)));
        assert_eq!(tree.get("b").unwrap().content, Some((0, 0)));
        assert_eq!((tree.get("c").unwrap().content, tree.get("c").unwrap().layer), (Some((0, 0)), 1));
        assert_eq!(tree.get("c").unwrap().entry.kind, File);
        assert_eq!(tree.get("c").unwrap().entry.path, "c");
    }

    #[test]
    fn links_are_followed_inside_the_image_only() {
        let tree = merged(&[&[
            ("etc/passwd", File),
            ("var/manifest.json", symlink("../../../opt/m.json")),
            ("opt/m.json", symlink("/etc/passwd")),
            ("lib", symlink("usr/lib")),
            ("usr/lib/so", File),
            ("loop", symlink("loop")),
            ("up", symlink("..")),
        ]]);
        let at = |path: &str| tree.resolve(path).map(|node| node.entry.path.clone());
        assert_eq!(at("/var/manifest.json").as_deref(), Ok("etc/passwd"));
        assert_eq!(at("lib/so").as_deref(), Ok("usr/lib/so"));
        assert_eq!(at("lib/../lib/./so").as_deref(), Ok("usr/lib/so"));
        assert_eq!(at("up/up/etc").as_deref(), Ok("etc"));
        assert_eq!(at("/").as_deref(), Ok(""));
        assert_eq!(at("loop"), Err(ResolveError::Loop { path: "loop".into() }));
        assert_eq!(at("lib/nope"), Err(ResolveError::Missing { path: "usr/lib/nope".into() }));
        assert_eq!(at("etc/passwd/x"), Err(ResolveError::NotADirectory { path: "etc/passwd".into() }));
    }

    #[test]
    fn a_directory_is_listed_without_its_neighbours() {
        let tree = merged(&[&[("a/x", File), ("a/d/y", File), ("a.b/n", File), ("a0", File)]]);
        let inside: Vec<_> = tree.inside("/a").map(|node| node.entry.path.as_str()).collect();
        assert_eq!(inside, ["a/d", "a/d/y", "a/x"]);
        assert_eq!(tree.inside("").count(), tree.len());
    }

    fn any_layer() -> impl Strategy<Value = Vec<(String, EntryKind)>> {
        let path = "[ab]{1}(/[ab]{1}){0,2}";
        let kind = prop_oneof![
            4 => Just(File),
            3 => Just(Dir),
            2 => Just(Whiteout),
            1 => Just(OpaqueDir),
            1 => path.prop_map(EntryKind::Symlink),
            1 => path.prop_map(EntryKind::Hardlink),
        ];
        proptest::collection::vec((path, kind), 0..8)
    }

    proptest! {
        #[test]
        fn every_node_has_its_parents_and_a_place_in_a_layer(layers in proptest::collection::vec(any_layer(), 0..4)) {
            let layers: Vec<Arc<LayerEvidence>> = layers
                .iter()
                .map(|entries| Arc::new(layer(&entries.iter().map(|(path, kind)| (path.as_str(), kind.clone())).collect::<Vec<_>>())))
                .collect();
            let tree = Tree::merge(&layers);
            for node in tree.iter() {
                for above in path::ancestors(&node.entry.path) {
                    prop_assert_eq!(&tree.get(above).unwrap().entry.kind, &Dir);
                }
                prop_assert_eq!(node.content.is_some(), node.entry.kind == File);
                if let Some((layer, index)) = node.content {
                    prop_assert_eq!(&layers[layer].entries[index].kind, &File);
                }
                let found = tree.resolve(&node.entry.path);
                prop_assert!(matches!(node.entry.kind, EntryKind::Symlink(_)) || found == Ok(node));
            }
        }
    }
}
