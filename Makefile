# Everything that a target uses is installed by it: `make demo` and `make test` are all the set-up there is.
SUITE ?= bookworm
PYTHON = /usr/bin/python3
# What a tier needs to be made before; nothing where it has been made.
PACKAGE = deb
PYTEST = $(PYTHON) -B -m pytest -p no:cacheprovider
DEB = $$(ls -t out/l2wg_*_all.deb | head -n 1)

## make help         this list
help:
	@sed -n 's/^## //p' Makefile

## make demo         two routers, the package installed on both, a lease and a ping that cross
demo: deb
	@$(PYTHON) -B tests/lab/demo.py --suite $(SUITE) --deb "$(DEB)" $(DEMO)

## make test         all tests: lint and unit, then the others, two at a time
# The long ones first, so that both cores have work to the end; `minimal` runs `shell`. What `unit` has just run, `deb` need not run again.
test: lint unit
	@DEB_BUILD_OPTIONS=nocheck tests/deb/build
	@rm -rf out/failed
	@$(MAKE) --no-print-directory -j 2 -k LANE='tests/lane $$@' PYTEST='tests/lane $$@ $(PYTEST) -vv' PACKAGE= \
	    router netns-1 netns-2 debtest neighbours minimal nix units fuzz matrix dsc || { tests/lane --failed; exit 1; }

## make lint         the code as text
lint:
	@tests/lint

## make unit         the unit tests, by this system's Python
unit:
	@tests/need python3-pytest python3-pytest-xdist python3-jinja2
	$(PYTEST) -q -n 2 tests/unit

## make fuzz         hostile input for every parser; CASES=5000 makes so many of each kind (100), and takes as much longer
fuzz:
	@tests/need python3-pytest python3-hypothesis python3-jinja2
	CASES=$(CASES) $(PYTEST) -q tests/fuzz

## make matrix       the unit tests by Python 3.7 (with jinja2 2.10) to 3.13, as far as they are installed
matrix:
	@$(LANE) tests/matrix

## make minimal      each tier in a Debian with nothing but apt and make: the quick ones whole, of the others all but the machines
REHEARSE = make PYTEST="/usr/bin/python3 -B -m pytest -q --collect-only"
minimal:
	@tests/need python3 util-linux
	@$(LANE) tests/minimal 'make lint unit shell'
	@$(LANE) tests/minimal '$(REHEARSE) nix && tests/commands tests/nix'
	@$(LANE) tests/minimal '$(REHEARSE) debtest && tests/commands tests/deb'
	@$(LANE) tests/minimal '$(REHEARSE) netns router neighbours units && tests/commands tests/lab && /usr/bin/python3 -B tests/lab/hosts.py'

## make shell        the sh scripts, and completion in bash and zsh
shell:
	@tests/need python3-pytest python3-jinja2 python3-hypothesis python3-venv dash shellcheck devscripts bash-completion zsh iproute2 mount git
	$(PYTEST) -q tests/shell

## make ansible      the collection for Ansible: ansible-lint, the examples' syntax, its module; not part of `make test`
ansible:
	@tests/need python3-pytest python3-jinja2
	$(PYTEST) -q tests/ansible

## make nix          the NixOS module and package: evaluated and built, not booted
nix:
	@tests/need python3-pytest python3-jinja2 nftables iptables
	$(PYTEST) -q tests/nix

## make deb          the package, in out/
deb:
	@tests/need python3
	@tests/deb/build

## make debtest      real dpkg and debconf
debtest: $(PACKAGE)
	$(PYTEST) --durations=20 tests/deb -m "not long" --suite $(SUITE)

## make docs         docs/troubleshooting.md, of the table that `l2wg check` has
docs:
	@$(PYTHON) -B -c "from l2wg_hooks.check import catalog; print(catalog.page(), end='')" >docs/troubleshooting.md.new
	@mv docs/troubleshooting.md.new docs/troubleshooting.md

## make dsc          the source package, by stdeb, in out/
dsc:
	@$(LANE) tests/deb/dsc

## make lab          real kernels: sites in network namespaces, routers, neighbours, NixOS' units; SUITE=bullseye, bookworm or trixie
lab: netns router neighbours units
## make netns        both sites in one machine, as network namespaces: netns-1 with one CPU, netns-2, what happens at the same time, with two
netns: netns-1 netns-2
netns-1: $(PACKAGE)
	@tests/need python3-pytest
	$(PYTEST) --durations=20 tests/lab/netns -m "not long and not two_cpus" --suite $(SUITE) --deb "$(DEB)"
netns-2: $(PACKAGE)
	@tests/need python3-pytest
	$(PYTEST) --durations=20 tests/lab/netns -m "not long and two_cpus" --suite $(SUITE) --deb "$(DEB)"

## make router       whole routers: boots, ssh sessions, power cuts
router: $(PACKAGE)
	@tests/need python3-pytest
	$(PYTEST) --durations=20 tests/lab/router -m "not long" --suite $(SUITE) --deb "$(DEB)"

## make neighbours   beside other network managers and firewalls
neighbours: $(PACKAGE)
	@tests/need python3-pytest
	$(PYTEST) --durations=20 tests/lab/neighbours -m "not long" --suite $(SUITE) --deb "$(DEB)"

## make fleet        ansible-core sets up three routers over ssh, twice, and one is cut off in the middle; not part of `make test`
fleet: $(PACKAGE)
	@tests/need python3-pytest
	$(PYTEST) --durations=20 tests/lab/fleet --suite $(SUITE) --deb "$(DEB)"

## make evpn         five sites whose tables Debian's FRR fills, over a star of WireGuard; not part of `make test`
evpn: $(PACKAGE)
	@tests/need python3-pytest
	$(PYTEST) --durations=20 -rP tests/lab/evpn --suite $(SUITE) --deb "$(DEB)"

## make units        the units of the NixOS module, under a real systemd
units: $(PACKAGE)
	@tests/need python3-pytest
	$(PYTEST) --durations=20 tests/lab/units --suite $(SUITE) --deb "$(DEB)"

## make long         what `make test` leaves out of the lab and of dpkg: four hours; tests/README.md says which, and when they ran
long: deb
	@tests/need python3-pytest
	rc=0; for part in "lab/netns -m long" lab/router lab/neighbours "deb -m long"; do $(PYTEST) --durations=20 tests/$$part --suite $(SUITE) --deb "$(DEB)" || rc=1; done; exit $$rc

## make lab-kernels  the lab's first part on Debian's kernels 5.10, 6.1 and 6.12, each with its own nft and ip
lab-kernels: deb
	@tests/need python3-pytest
	for suite in bullseye bookworm trixie; do $(PYTEST) --durations=20 tests/lab/netns --suite $$suite --deb "$(DEB)" || exit 1; done

## make mutants      faults planted in the pure part, and which of them no unit test sees; ONLY="plan/planner ..." for some modules
mutants:
	@tests/mutants $(ONLY)

## make bench        what a hook, `wg-quick up`, many tunnels and the datapath cost, as ratios; writes docs/bench
bench: deb
	@tests/need python3-jinja2 nftables
	@$(PYTHON) -B tests/bench/hooks.py
	@$(PYTHON) -B tests/bench/growth.py
	@$(PYTHON) -B tests/lab/bench.py --suite $(SUITE) --deb "$(DEB)"
	@$(PYTHON) -B tests/lab/datapath.py --suite $(SUITE) --deb "$(DEB)"

## make clean        what was built in this tree
clean:
	rm -rf out build deb_dist dist *.egg-info

.PHONY: docs help demo test lint unit fuzz matrix minimal shell ansible nix deb debtest dsc lab netns netns-1 netns-2 router neighbours fleet evpn units long lab-kernels mutants bench clean
