//! Elements and attributes of template XML, by their local names.
//!
//! ```text
//! <scp:template reset="yes" dictionary="template">   attribute "reset", child "copy"
//! ```

use roxmltree::Node;

/// The number in the attribute `id`.
pub(super) fn id(node: Node) -> Option<u32> {
    attribute(node, "id")?.trim().parse().ok()
}

/// Whether an attribute of two values says yes.
pub(super) fn is_yes(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "y" | "yes" | "true" | "1")
}

/// An attribute by its local name: `scp:reset` and `reset` are one.
pub(super) fn attribute<'n>(node: Node<'n, '_>, name: &str) -> Option<&'n str> {
    node.attributes().find(|attribute| attribute.name() == name).map(|found| found.value())
}

/// The attribute on the element or the nearest one around it.
pub(super) fn inherited<'n>(node: Node<'n, '_>, name: &str) -> Option<&'n str> {
    node.ancestors().find_map(|node| attribute(node, name))
}

/// The first child of this name.
pub(super) fn child<'n>(node: Node<'n, 'n>, name: &str) -> Option<Node<'n, 'n>> {
    node.children().find(|child| child.is_element() && child.has_tag_name_of(name))
}

/// A name in a namespace, as one text.
pub(super) fn qualified(ns: &str, name: &str) -> String {
    if ns.is_empty() { name.into() } else { format!("{ns}\u{0}{name}") }
}

/// Whether an element belongs to another vocabulary than its parent.
pub(super) fn is_foreign(node: Node) -> bool {
    let parent = node.parent_element();
    parent.is_some_and(|parent| parent.tag_name().namespace() != node.tag_name().namespace())
}

/// Tag names without their namespace.
pub(super) trait LocalName {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }
}
