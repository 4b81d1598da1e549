# make starts each recipe with vfork or posix_spawn.
all: one two three
	@cat one two three > all.out
one two three:
	@echo $@ > $@
