//! `plimsoll check IMAGE`: the gate on a laptop, with the same crates and the same findings.
