<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\FpmMaster;
use Tests\Support\RedisTestCase;

/** What a web request costs: the connection belongs to the worker and stays. */
final class FpmTest extends RedisTestCase
{
    private const EACH = 1_000;

    public function test_two_workers_do_a_thousand_requests_each_without_a_new_connection_and_with_one_command_each(): void
    {
        self::shared()->command('SET', 'page', 'the page');
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests', 2));

        // Warm-up: until both workers have their connection.
        $warm = [];
        for ($i = 0; count($warm) < 2 && $i < 100; $i++) {
            $warm += $this->twoAtOnce($fpm);
        }
        self::assertCount(2, $warm, 'workers that have answered');
        self::assertCount(2, self::shared()->clients(), 'connections after the warm-up');

        $before = self::shared()->counters();
        $served = array_fill_keys(array_keys($warm), 0);
        for ($total = 0; min($served) < self::EACH && $total < 10 * self::EACH; $total += 2) {
            foreach ($this->twoAtOnce($fpm) as $worker => $requests) {
                self::assertArrayHasKey($worker, $served, 'a worker was replaced');
                $served[$worker] += $requests;
            }
        }
        $spent = self::shared()->counters()->since($before);

        $seen = sprintf('requests per worker %s; %d connections, %d commands', self::seen($served), $spent->connections, $spent->commands);
        self::assertGreaterThanOrEqual(self::EACH, min($served), $seen);
        self::assertSame(0, $spent->connections, $seen);
        self::assertSame($total, $spent->commands, $seen);
        self::assertSame('', $fpm->crashes());
    }

    public function test_a_worker_whose_connection_was_closed_meanwhile_serves_the_next_request(): void
    {
        self::shared()->command('SET', 'page', 'the page');
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests'));
        for ($i = 0; $i < 5; $i++) {
            self::assertSame('the page', $this->page($fpm)['page']);
            self::shared()->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        }
    }

    public function test_a_session_handler_and_destructors_that_run_after_the_request_can_use_the_client(): void
    {
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests'));
        for ($i = 1; $i <= 3; $i++) {
            $fpm->request('after-the-end.php', ['endpoint' => self::shared()->endpoint()]);
            self::assertSame((string) $i, self::shared()->command('GET', 'destructors'), "request $i");
            self::assertSame((string) $i, self::shared()->command('GET', 'shutdown functions'), "request $i");
        }
        self::assertSame('', $fpm->crashes());
    }

    /** @return array<int, int> requests by the worker that served them */
    private function twoAtOnce(FpmMaster $fpm): array
    {
        $query = ['endpoint' => self::shared()->endpoint()];
        $pending = [$fpm->send('new-and-get.php', $query), $fpm->send('new-and-get.php', $query)];
        $served = [];
        foreach ($pending as $request) {
            $answer = $request->response()->json();
            self::assertSame('the page', $answer['page']);
            $served[$answer['worker']] = ($served[$answer['worker']] ?? 0) + 1;
        }

        return $served;
    }

    /** @return array<string, mixed> */
    private function page(FpmMaster $fpm): array
    {
        return $fpm->request('new-and-get.php', ['endpoint' => self::shared()->endpoint()])->json();
    }
}
