"""qtest beside libraries that keep time, transactions and examples of their own; each in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.qtest.conftest import Run


# Hypothesis.


def test_a_fake_made_in_the_body_is_new_for_each_example(project: pytest.Pytester, run: Run) -> None:
    project.makepyfile(
        test_given="""
        import qtest
        from hypothesis import given, settings, strategies as st
        from shop import Once, Ship
        @settings(deadline=None)
        @given(st.integers())
        def test_x(number):
            with qtest.fake() as queue:
                assert Once().dispatch() is not None
                Ship(number).dispatch(delay=60)
                queue.assert_pushed_once(Ship(number))
                assert queue.run_until_idle().passed == 60
        """
    )

    run("hypothesispytest", passed=1)


def test_the_fixture_is_reset_for_each_example(project: pytest.Pytester, run: Run) -> None:
    project.makepyfile(
        test_given="""
        from hypothesis import HealthCheck, given, settings, strategies as st
        from shop import Once, Ship
        @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(number=st.integers())
        def test_x(queue_fake, queue_clock, number):
            queue_fake.reset()
            assert Once().dispatch() is not None
            Ship(number).dispatch(delay=60)
            queue_fake.assert_pushed_once(Ship(number))
            assert queue_fake.run_until_idle().passed == 60
        @given(number=st.integers())
        def test_unsaid(queue_fake, number):
            pass
        """
    )

    result = run("hypothesispytest", passed=1, failed=1)
    result.stdout.fnmatch_lines(["*function-scoped fixture*"])


def test_a_job_that_failed_in_an_example_and_was_not_looked_at_fails_the_test(
    project: pytest.Pytester, run: Run
) -> None:
    project.makepyfile(
        test_given="""
        from hypothesis import HealthCheck, given, settings, strategies as st
        from shop import Explode
        begun = []
        @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=3)
        @given(number=st.integers())
        def test_x(queue_fake, number):
            queue_fake.reset()
            begun.append(number)
            if len(begun) == 1:
                Explode().dispatch()
                queue_fake.run_next_job()
        @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=3)
        @given(number=st.integers())
        def test_seen(queue_fake, number):
            queue_fake.reset()
            Explode().dispatch()
            queue_fake.run_due(raises=False)
        """
    )

    run("hypothesispytest", failed=1, passed=1).stdout.fnmatch_lines(
        ["*a job failed, and the test never looked at it*"]
    )


# Time.


def test_the_freezer_of_pytest_freezer(project: pytest.Pytester, run: Run) -> None:
    project.makepyfile(
        test_freezer="""
        import datetime, time
        import pytest
        from shop import Ship
        def test_joined(freezer, queue_fake, queue_clock):
            freezer.move_to("2030-01-01")
            Ship().dispatch(delay=60)
            freezer.tick(60)
            assert queue_fake.run_due().succeeded == 1
            queue_clock.advance(30)
            assert datetime.datetime.now() == datetime.datetime(2030, 1, 1, 0, 1, 30)
        @pytest.mark.freeze_time("2031-01-01")
        def test_marked(queue_fake):
            assert queue_fake.clock.now() == time.time()
        def test_after():
            assert time.time() > 1_700_000_000 and time.time() != time.time_ns()
        """
    )

    run("pytest_freezer", passed=3)


TRAVELLED = """
    import time
    import time_machine
    from shop import Ship
    def test_fake(queue_fake):
        with time_machine.travel("2031-01-01T00:00Z", tick=False):
            before = queue_fake.clock.now()
            Ship().dispatch(delay=60)
            queue_fake.assert_delayed(Ship, by=60)
            assert queue_fake.run_until_idle().passed == 60
            assert queue_fake.clock.now() == before + 60
            assert time.time() == 1924992000
    @time_machine.travel("2031-01-01T00:00Z", tick=False)
    def test_clock(queue_fake, queue_clock):
        queue_clock.advance(60)
        assert time.time() == 1924992000
    def test_travels_already(time_machine, request):
        time_machine.move_to("2031-01-01T00:00Z", tick=False)
        clock = request.getfixturevalue("queue_clock")
        assert clock.now() == 1924992000
        clock.advance(60)
        assert time.time() == 1924992000
"""


def test_time_machine_where_user_code_is_not_frozen(project: pytest.Pytester, run: Run) -> None:
    project.makeini("[pytest]\nqtest_freeze = off")
    project.makepyfile(test_travelled=TRAVELLED)

    run("time_machine", passed=3)


def test_time_machine_and_a_clock_that_freezes_say_what_to_do(project: pytest.Pytester, run: Run) -> None:
    project.makepyfile(test_travelled=TRAVELLED)

    result = run("time_machine", "-k", "travels_already", failed=1)
    result.stdout.fnmatch_lines(["E*time-machine travels already*set qtest_freeze = off*"])


def test_the_alarm_belongs_to_others(project: pytest.Pytester, run: Run) -> None:
    """As of pytest-timeout, which ends a test by SIGALRM."""
    project.makepyfile(
        conftest="""
        import signal, pytest
        class Hung(Exception): pass
        def ring(*_):
            raise Hung
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(item):
            before = signal.signal(signal.SIGALRM, ring)
            signal.setitimer(signal.ITIMER_REAL, 300)
            try:
                yield
                assert signal.getsignal(signal.SIGALRM) is ring
                assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 300
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
        """,
        test_alarm="""
        import os, signal, time
        import pytest
        from qcore import job
        from conftest import Hung
        @job(timeout=60)
        def sleeps():
            time.sleep(3600)
        @job(timeout=60)
        def hangs():
            os.kill(os.getpid(), signal.SIGALRM)
        def test_limit(queue_fake, queue_worker):
            sleeps.dispatch()
            queue_fake.run_due(raises=False)
            queue_fake.assert_timed_out(sleeps)
            sleeps.dispatch()
            assert queue_worker.work_once().exit_code == 1
            queue_fake.failed()
        def test_hung(queue_fake):
            hangs.dispatch()
            with pytest.raises(Hung):
                queue_fake.run_due()
        """,
    )

    run("", passed=2)


# Django.

SETTINGS = """
    SECRET_KEY = "x"
    INSTALLED_APPS = ["orders"]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
    DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
    USE_TZ = True
"""

DJANGO = """
    import pytest
    from django.db import transaction
    from django.test import TestCase, TransactionTestCase
    from orders.models import Order
    from qcore import Job

    class Mail(Job, after_commit=True):
        def __init__(self, name):
            self.name = name
        def handle(self):
            Order.objects.filter(name=self.name).update(name="mailed")

    def order(name="a"):
        with transaction.atomic():
            Order.objects.create(name=name)
            Mail(name).dispatch()

    @pytest.mark.django_db
    def test_a_transaction_of_the_test_holds(queue_fake):
        order()
        queue_fake.assert_held(Mail("a"))
        queue_fake.assert_not_pushed(Mail)

    @pytest.mark.django_db
    def test_callbacks_are_captured(queue_fake, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True) as callbacks:
            order()
            queue_fake.assert_held(Mail)
        assert len(callbacks) == 1
        queue_fake.assert_pushed(Mail("a"))
        assert queue_fake.run_due().succeeded == 1
        assert Order.objects.get().name == "mailed"

    @pytest.mark.django_db
    def test_callbacks_that_are_not_run(queue_fake, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks() as callbacks:
            order()
        queue_fake.assert_held(Mail)
        for each in callbacks:
            each()
        queue_fake.assert_pushed_once(Mail)

    @pytest.mark.django_db
    def test_what_is_rolled_back_is_discarded(queue_fake, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            with pytest.raises(KeyError), transaction.atomic():
                order()
                raise KeyError
        queue_fake.assert_not_pushed(Mail)

    @pytest.mark.django_db(transaction=True)
    def test_a_real_transaction_commits(queue_fake):
        with transaction.atomic():
            order()
            queue_fake.assert_held(Mail)
        queue_fake.assert_pushed(Mail("a"))
        assert queue_fake.run_due().succeeded == 1
        assert Order.objects.get().name == "mailed"

    @pytest.mark.django_db(transaction=True)
    def test_a_real_transaction_is_rolled_back(queue_fake):
        with pytest.raises(KeyError), transaction.atomic():
            order()
            raise KeyError
        queue_fake.assert_discarded(Mail, reason="rollback")

    def test_without_a_database_nothing_is_asked_of_it(queue_fake):
        from shop import Ship
        Ship().dispatch()
        assert queue_fake.run_due().succeeded == 1

    @pytest.mark.usefixtures("queue_fake")
    class TestCases(TestCase):
        @pytest.fixture(autouse=True)
        def _queue(self, queue_fake):
            self.queue = queue_fake
        def test_held(self):
            order()
            self.queue.assert_held(Mail)
        def test_captured(self):
            with self.captureOnCommitCallbacks(execute=True):
                order()
            self.queue.assert_pushed(Mail("a"))
            assert self.queue.run_due().succeeded == 1

    class TestTransactions(TransactionTestCase):
        @pytest.fixture(autouse=True)
        def _queue(self, queue_fake):
            self.queue = queue_fake
        def test_commits(self):
            order()
            self.queue.assert_pushed(Mail("a"))

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.queue(drivers=["sqlite"])
    def test_on_a_file(queue_fake):
        order()
        assert queue_fake.run_due().succeeded == 1
"""


def test_pytest_django(project: pytest.Pytester, run: Run) -> None:
    project.makeini("[pytest]\nDJANGO_SETTINGS_MODULE = shop_settings\npythonpath = .\ndjango_find_project = false")
    models = "from django.db import models\nclass Order(models.Model):\n    name = models.TextField()\n"
    (project.mkpydir("orders") / "models.py").write_text(models)
    project.makepyfile(shop_settings=SETTINGS, test_orders=DJANGO)

    run("django", passed=11)
