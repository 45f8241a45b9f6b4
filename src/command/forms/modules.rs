//! The forms of the commands of modules.

use super::Place::{Above, Behind, Json, Keys, List, Maybe, Named, One, Switch, Tail as Rest, Unless, Word};
use super::{Form, Place, Tail, forms};

const OPTIONS: Place = Rest(Tail::Options);
const DIALECT: Place = Rest(Tail::Dialect);

forms! {
    BFINFO: Word, One(&["CAPACITY", "SIZE", "FILTERS", "ITEMS", "EXPANSION"]);
    BFINSERT: Word, Unless("CAPACITY"), Unless("ERROR"), Unless("EXPANSION"), Switch("NOCREATE"), Switch("NONSCALING"), Behind("ITEMS");
    BFRESERVE: Word, Word, Word, Unless("EXPANSION"), Switch("NONSCALING");
    CFINSERT: Word, Unless("CAPACITY"), Switch("NOCREATE"), Behind("ITEMS");
    CFRESERVE: Word, Word, Unless("BUCKETSIZE"), Unless("MAXITERATIONS"), Unless("EXPANSION");
    CMSMERGE: Word, Keys, List("WEIGHTS");
    FTALTER: Word, Rest(Tail::Schema(&["SCHEMA", "ADD"]));
    FTCREATE: Word, Rest(Tail::Schema(&["SCHEMA"]));
    FTQUERY: Word, Word, DIALECT;
    JSONGET: Word, Named("INDENT"), Named("NEWLINE"), Named("SPACE");
    JSONMERGE: Word, Word, Json;
    JSONSET: Word, Word, Json, One(&["NX", "XX"]);
    OPTIONSBEHINDONE: Word, OPTIONS;
    OPTIONSBEHINDTWO: Word, Word, OPTIONS;
    OPTIONSBEHINDTHREE: Word, Word, Word, OPTIONS;
    SERIESRANGE: Keys, Word, Word, OPTIONS;
    TDIGESTCREATE: Word, Above("COMPRESSION");
    TDIGESTMERGE: Word, Keys, Rest(Tail::Merging);
    TOPKLIST: Word, Switch("WITHCOUNT");
    TOPKRESERVE: Word, Word, Rest(Tail::Filled(&["8", "7", "0.9"]));
    TSCREATERULE: Word, Word, Named("AGGREGATION"), Word, Maybe;
    TSMGET: Rest(Tail::Filters);
    TSQUERYLABELS: Rest(Tail::Labels);
}
