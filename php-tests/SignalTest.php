<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

/** A worker that waits for ever is told to stop by a signal: its handler runs at once, and no element is lost. */
final class SignalTest extends RedisTestCase
{
    /** @return iterable<string, array{string}> */
    public static function forms(): iterable
    {
        foreach (['BLPOP', 'BLMOVE', 'XREAD', 'a pipeline'] as $form) {
            yield $form => [$form];
        }
    }

    /** @dataProvider forms */
    public function test_a_worker_that_blocks_for_ever_ends_when_its_handler_says_so(string $form): void
    {
        $worker = $this->worker(self::shared(), $form);
        $told = microtime(true);
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(5.0), $worker->errors());
        $seen = json_decode($worker->newLines()[0], true);
        self::assertSame(['taken' => [], 'alarms' => 0, 'pong' => 'PONG'], $seen);
        self::assertSame('1', self::shared()->command('GET', 'handlers'));
        self::assertLessThan(4.0, microtime(true) - $told, 'it did not wait for anything else');
    }

    public function test_a_signal_that_does_not_end_the_worker_costs_it_one_reply_of_nothing(): void
    {
        self::shared()->command('CONFIG', 'RESETSTAT');
        $worker = $this->worker(self::shared(), 'BLPOP');
        $worker->signal(SIGALRM);
        Wait::until('it waits again', static fn (): bool => self::shared()->calls('client|unblock') === 1 && self::isBlocked(self::shared()));
        self::shared()->command('RPUSH', 'queue', 'element');
        Wait::until('it took the element', static fn (): bool => self::shared()->command('LLEN', 'queue') === 0);
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(5.0), $worker->errors());
        self::assertSame(['taken' => ['element'], 'alarms' => 1, 'pong' => 'PONG'], json_decode($worker->newLines()[0], true));
    }

    public function test_no_element_is_lost_that_comes_with_the_signal(): void
    {
        for ($round = 0; $round < 30; $round++) {
            $worker = $this->worker(self::shared(), 'BLPOP');
            // The two race: whoever is first, the element is taken or still there.
            $worker->signal(SIGTERM);
            usleep($round * 40);
            self::shared()->command('RPUSH', 'queue', "element $round");
            self::assertSame(0, $worker->wait(5.0), $worker->errors());
            $taken = json_decode($worker->newLines()[0], true)['taken'];
            $left = self::shared()->command('LRANGE', 'queue', 0, -1);
            self::assertSame(["element $round"], [...$taken, ...$left], "round $round");
            self::shared()->command('DEL', 'queue');
        }
    }

    private function worker(RedisServer $redis, string $form): Process
    {
        $worker = $this->stoppedAtTheEnd(new Process(Extension::php(__DIR__ . '/Fixtures/signalled.php', [], $redis->endpoint(), $form)));
        Wait::until('the worker waits', static fn (): bool => self::isBlocked($redis));
        self::assertSame(['ready'], $worker->newLines());

        return $worker;
    }

    private static function isBlocked(RedisServer $redis): bool
    {
        return array_filter($redis->clients(), static fn (array $client): bool => str_contains($client['flags'], 'b')) !== [];
    }
}
