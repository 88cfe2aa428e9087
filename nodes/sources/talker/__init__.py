"""A rendered person who speaks known words: the clip that `make demo` and the tests run on."""
