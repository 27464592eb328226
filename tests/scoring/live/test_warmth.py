import threading

from fairlead.scoring.live import Warmth

ENDPOINTS = ("a", "b", "c")


def test_the_last_endpoint_of_a_conversation_is_its_incumbent(clock):
    warmth = Warmth(300, 100, clock)
    warmth.note("c-1", "b", 100)
    warmth.note("c-1", "c", 150)

    assert warmth.incumbent("c-1", ENDPOINTS) == 2
    assert warmth.warm("c-1", ENDPOINTS).tolist() == [0, 100, 150]
    assert warmth.incumbent("unheard of", ENDPOINTS) == -1
    assert warmth.warm("unheard of", ENDPOINTS).tolist() == [0, 0, 0]


def test_a_cache_grows_cold(clock):
    warmth = Warmth(300, 100, clock)
    warmth.note("c-1", "b", 100)
    clock.now += 200
    warmth.note("c-1", "a", 120)
    clock.now += 150

    assert warmth.warm("c-1", ENDPOINTS).tolist() == [120, 0, 0]
    clock.now += 150
    assert (warmth.incumbent("c-1", ENDPOINTS), warmth.warm("c-1", ENDPOINTS).tolist()) == (-1, [0, 0, 0])


def test_each_use_keeps_a_cache_warm(clock):
    warmth = Warmth(300, 100, clock)
    for _ in range(10):
        warmth.note("c-1", "b", 100)
        clock.now += 250

    assert warmth.incumbent("c-1", ENDPOINTS) == 1


def test_an_endpoint_that_is_gone_is_nobodys_incumbent(clock):
    warmth = Warmth(300, 100, clock)
    warmth.note("c-1", "gone", 100)

    assert (warmth.incumbent("c-1", ENDPOINTS), warmth.warm("c-1", ENDPOINTS).tolist()) == (-1, [0, 0, 0])


def test_memory_is_bounded_and_the_longest_unused_goes_first(clock):
    warmth = Warmth(300, 3, clock)
    for name in ("c-1", "c-2", "c-3", "c-1", "c-4"):
        for endpoint in "abcdefgh":
            warmth.note(name, endpoint, 100)

    assert len(warmth) == 3
    assert [warmth.incumbent(name, tuple("abcdefgh")) for name in ("c-1", "c-2", "c-3", "c-4")] == [7, -1, 7, 7]
    assert warmth.warm("c-1", tuple("abcdefgh")).tolist() == [0, 0, 0, 0, 100, 100, 100, 100]


def test_several_threads_may_use_it_at_once(clock):
    warmth, faults = Warmth(300, 50, clock), []

    def use(number):
        try:
            for turn in range(300):
                warmth.note(f"c-{(turn * number) % 80}", "a", turn)
                warmth.warm(f"c-{turn % 80}", ENDPOINTS)
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert len(warmth) <= 50
