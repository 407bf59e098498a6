//! A whole file system as a value: what a running process sees, what is durable, and the changes in between.
//!
//! Cloning an image copies one pointer a file, so that one can be kept for every mutating call of a test.

use super::content::Content;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) type Inode = u64;
pub(super) const ROOT: Inode = 0;

/// A change to a file that its next sync makes durable.
#[derive(Clone)]
pub(super) struct DataChange {
    /// The number of the mutating call that made it.
    pub(super) at: u64,
    pub(super) kind: DataChangeKind,
}

#[derive(Clone)]
pub(super) enum DataChangeKind {
    Write { offset: u64, bytes: Arc<[u8]>, mapped: bool },
    SetLen { len: u64 },
}

/// A change to names that the next sync of a directory it touches makes durable.
#[derive(Clone)]
pub(super) enum EntryChange {
    Add { dir: Inode, name: String, inode: Inode },
    Remove { dir: Inode, name: String },
    Rename { from_dir: Inode, from: String, to_dir: Inode, to: String, inode: Inode },
}

impl EntryChange {
    fn touches(&self, touched: Inode) -> bool {
        match self {
            Self::Add { dir, .. } | Self::Remove { dir, .. } => *dir == touched,
            Self::Rename { from_dir, to_dir, .. } => *from_dir == touched || *to_dir == touched,
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct FileNode {
    pub(super) live: Content,
    pub(super) durable: Content,
    pub(super) unsynced: Vec<DataChange>,
}

#[derive(Clone, Default)]
pub(super) struct DirNode {
    pub(super) live: BTreeMap<String, Inode>,
    pub(super) durable: BTreeMap<String, Inode>,
}

#[derive(Clone)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Clone)]
pub(super) struct Image {
    pub(super) nodes: BTreeMap<Inode, Arc<Node>>,
    pub(super) pending: Vec<EntryChange>,
    pub(super) next_inode: Inode,
}

impl Image {
    pub(super) fn new() -> Self {
        let root = Arc::new(Node::Dir(DirNode::default()));
        Self { nodes: BTreeMap::from([(ROOT, root)]), pending: Vec::new(), next_inode: ROOT + 1 }
    }

    pub(super) fn file(&self, inode: Inode) -> Option<&FileNode> {
        match self.nodes.get(&inode).map(|node| &**node) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(super) fn file_mut(&mut self, inode: Inode) -> Option<&mut FileNode> {
        match self.nodes.get_mut(&inode).map(Arc::make_mut) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(super) fn dir(&self, inode: Inode) -> Option<&DirNode> {
        match self.nodes.get(&inode).map(|node| &**node) {
            Some(Node::Dir(dir)) => Some(dir),
            _ => None,
        }
    }

    pub(super) fn dir_mut(&mut self, inode: Inode) -> Option<&mut DirNode> {
        match self.nodes.get_mut(&inode).map(Arc::make_mut) {
            Some(Node::Dir(dir)) => Some(dir),
            _ => None,
        }
    }

    /// Adds a new file or directory under a free name.
    pub(super) fn add_node(&mut self, dir: Inode, name: &str, node: Node) -> Inode {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.nodes.insert(inode, Arc::new(node));
        self.change(EntryChange::Add { dir, name: name.to_string(), inode });
        inode
    }

    /// Makes a change to names: at once in what the process sees, pending in what is durable.
    pub(super) fn change(&mut self, change: EntryChange) {
        self.apply(&change, |dir| &mut dir.live, true);
        self.pending.push(change);
    }

    /// Applies a change to one of the two states of the directories. `removes_source`: a rename takes the old name away.
    pub(super) fn apply(
        &mut self,
        change: &EntryChange,
        state: fn(&mut DirNode) -> &mut BTreeMap<String, Inode>,
        removes_source: bool,
    ) {
        let mut entries = |dir: Inode, act: &mut dyn FnMut(&mut BTreeMap<String, Inode>)| {
            if let Some(dir) = self.dir_mut(dir) {
                act(state(dir));
            }
        };
        match change {
            EntryChange::Add { dir, name, inode } => {
                entries(*dir, &mut |entries| {
                    entries.insert(name.clone(), *inode);
                });
            }
            EntryChange::Remove { dir, name } => entries(*dir, &mut |entries| {
                entries.remove(name);
            }),
            EntryChange::Rename { from_dir, from, to_dir, to, inode } => {
                if removes_source {
                    entries(*from_dir, &mut |entries| {
                        entries.remove(from);
                    });
                }
                entries(*to_dir, &mut |entries| {
                    entries.insert(to.clone(), *inode);
                });
            }
        }
    }

    pub(super) fn sync_data(&mut self, inode: Inode) {
        if let Some(file) = self.file_mut(inode) {
            file.durable = file.live.clone();
            file.unsynced.clear();
        }
    }

    /// Makes the names of a directory durable. A rename into or out of another directory becomes durable on both sides: a
    /// journal writes the two together, so that the file is never without a name.
    pub(super) fn sync_dir(&mut self, synced: Inode) {
        let (settled, left) = std::mem::take(&mut self.pending).into_iter().partition(|change| change.touches(synced));
        self.pending = left;
        let settled: Vec<EntryChange> = settled;
        for change in &settled {
            self.apply(change, |dir| &mut dir.durable, true);
        }
        if let Some(dir) = self.dir_mut(synced)
            && dir.durable != dir.live
        {
            dir.durable = dir.live.clone();
        }
    }

    /// Drops files that have no name, live, durable or pending, and that `in_use` does not name.
    pub(super) fn collect(&mut self, in_use: impl Fn(Inode) -> bool) {
        let mut named = vec![ROOT];
        for node in self.nodes.values() {
            if let Node::Dir(dir) = &**node {
                named.extend(dir.live.values().chain(dir.durable.values()));
            }
        }
        for change in &self.pending {
            if let EntryChange::Add { inode, .. } | EntryChange::Rename { inode, .. } = change {
                named.push(*inode);
            }
        }
        named.sort_unstable();
        self.nodes.retain(|inode, _| named.binary_search(inode).is_ok() || in_use(*inode));
    }

    /// Every live path with its inode, in order.
    pub(super) fn walk(&self) -> Vec<(String, Inode)> {
        let mut found = Vec::new();
        let mut open = vec![(String::new(), ROOT)];
        while let Some((path, inode)) = open.pop() {
            if let Some(dir) = self.dir(inode) {
                open.extend(dir.live.iter().map(|(name, inode)| (format!("{path}/{name}"), *inode)));
            }
            found.push((path, inode));
        }
        found.sort_unstable();
        found
    }

    /// Bytes of all files that have a live name.
    pub(super) fn used_bytes(&self) -> u64 {
        let inodes: BTreeSet<Inode> = self.walk().into_iter().map(|(_, inode)| inode).collect();
        inodes.into_iter().filter_map(|inode| self.file(inode)).map(|file| file.live.len()).sum()
    }

    /// A hash of names, lengths and bytes that the process sees.
    pub(super) fn fingerprint(&self) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut hasher = std::hash::DefaultHasher::new();
        for (path, inode) in self.walk() {
            path.hash(&mut hasher);
            if let Some(file) = self.file(inode) {
                file.live.len().hash(&mut hasher);
                file.live.chunk_hashes().for_each(|chunk| chunk.hash(&mut hasher));
            }
        }
        hasher.finish()
    }
}
