//! How a row is written: the call, how it is tried, and of the rest only what there is to say.

macro_rules! fill {
    ($rows:ident: $($nr:ident, $how:expr $(, fd $fd:literal)? $(, keeps [$($keep:expr),*])? $(, moves $moves:ident)?
        $(, note $note:literal)?;)*) => {
        $(
            #[allow(unused_mut)]
            {
                let mut row = Row {
                    how: $how,
                    name: call_name(stringify!($nr)),
                    fd: NONE,
                    keeps: &[],
                    moves: Moves::Nothing,
                    note: "",
                };
                $(row.fd = $fd;)?
                $(row.keeps = &[$($keep),*];)?
                $(row.moves = Moves::$moves;)?
                $(row.note = $note;)?
                $rows[g::$nr as usize] = Some(row);
            }
        )*
    };
}
pub(super) use fill;

/// `__NR_name` without what comes first.
pub(super) const fn call_name(constant: &'static str) -> &'static str {
    constant.split_at("__NR_".len()).1
}
