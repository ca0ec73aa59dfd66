//! The general format of every result, whatever its contract: all blocks are checked where they occur, none is needed.

use super::{
    ROOT,
    blocks::{EMOTIONS, GPS, MEDIA, OBJECTS, SENTIMENT, SERIES, TAGS},
    shape::{Checker, INTEGER, Object, Shape, nothing_else},
};
use crate::contract::json::Node;

pub(super) static ROOT_OBJECT: Object = Object {
    open: true,
    required: &[],
    fields: &[
        ("tags", Shape::List(&TAGS)),
        ("collateIndex", INTEGER),
        ("language", Shape::Text),
        ("summary", Shape::Text),
        ("sentiment", Shape::Object(&SENTIMENT)),
        ("gps", Shape::List(&GPS)),
        ("emotions", Shape::List(&EMOTIONS)),
        ("vendor", Shape::AnyObject),
        ("object", Shape::List(&OBJECTS)),
        ("series", Shape::List(&SERIES)),
        ("media", Shape::List(&MEDIA)),
    ],
    also: nothing_else,
};

pub(super) fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.check(&Shape::Object(&ROOT_OBJECT), root, &ROOT);
}
