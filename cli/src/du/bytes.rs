//! `-b`, which is two things in one.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// Whether it was said: then lengths are counted, whatever follows.
pub struct Bytes {
    pub is_said: bool,
    /// No other unit was said behind it.
    pub is_unit: bool,
}

const ID: &str = "bytes";

/// Of these the last one counts.
pub const UNITS: [&str; 5] = ["human_readable", "si", "block_size", "kilo", "mega"];

impl Args for Bytes {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new(ID).long(ID).short('b').action(ArgAction::SetTrue).overrides_with(ID).help(
                "The same as --apparent-size --block-size=1; what follows may change the unit",
            ),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Bytes::augment_args(command)
    }
}

// By hand, because only here it is known in which order options came. (Clap's overriding goes both
// ways: were `-b` to override `-k`, then `-k` would undo it.)
impl FromArgMatches for Bytes {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Bytes, Error> {
        let place = |id: &str| {
            let is_said = matches.value_source(id) == Some(ValueSource::CommandLine);
            if is_said { matches.index_of(id) } else { None }
        };
        let (here, units) = (place(ID), UNITS.iter().filter_map(|id| place(id)).max());
        Ok(Bytes { is_said: here.is_some(), is_unit: here > units })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Bytes::from_arg_matches(matches)?;
        Ok(())
    }
}
