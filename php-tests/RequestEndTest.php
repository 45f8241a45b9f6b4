<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\FpmMaster;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

/** Requests end in many ways, and in the middle of things; the next request of the worker must not notice. */
final class RequestEndTest extends RedisTestCase
{
    /** @dataProvider endings */
    public function test_the_next_request_is_clean(string $state, string $ending): void
    {
        self::shared()->command('SET', 'watched', 'before');
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests'));
        $endpoint = self::shared()->endpoint();
        $worker = $fpm->request('next.php', ['endpoint' => $endpoint, 'token' => 'first'])->json()['worker'];

        $answer = $fpm->request('ending.php', ['endpoint' => $endpoint, 'state' => $state, 'ending' => $ending]);
        self::assertStringContainsString("in $state", $answer->body, 'it got that far');
        Wait::until(
            'no connection is in MULTI',
            static fn (): bool => self::shared()->inTransaction() === 0,
        );
        self::assertNull(self::shared()->command('GET', 'queued'), 'nothing of the transaction was applied');
        // Were the WATCH still there, the next transaction on its connection would be aborted.
        self::shared()->command('SET', 'watched', 'after');

        foreach (['second', 'third'] as $token) {
            self::assertSame(
                ['worker' => $worker, 'token' => $token, 'transaction' => ['OK', $token], 'database' => 0, 'pong' => 'PONG'],
                $fpm->request('next.php', ['endpoint' => $endpoint, 'token' => $token])->json(),
            );
        }
        self::assertSame('', $fpm->crashes());
    }

    /** @return iterable<string, array{string, string}> */
    public static function endings(): iterable
    {
        foreach (['MULTI', 'WATCH', 'WATCH and MULTI', 'another database', 'a pipeline', 'a watched transaction'] as $state) {
            foreach (['exit', 'fatal error', 'uncaught exception', 'memory limit', 'time limit'] as $ending) {
                yield "$ending in $state" => [$state, $ending];
            }
        }
    }

    /**
     * A jump out of a fatal error skips what the extension would have given back, so it must have nothing in hand by then.
     *
     * @dataProvider jumps
     */
    public function test_a_jump_out_of_the_code_of_a_command_costs_the_worker_no_memory(string $in): void
    {
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests'));
        $jump = ['endpoint' => self::shared()->endpoint(), 'in' => $in];
        $seen = [];
        for ($i = 1; $i <= 40; $i++) {
            self::assertStringContainsString('it jumps', $fpm->request('jump.php', $jump)->body);
            // The first requests take memory that is used again from then on.
            if ($i === 10 || $i === 40) {
                $seen[] = $fpm->request('jump.php')->json();
            }
        }
        self::assertSame($seen[0]['pid'], $seen[1]['pid']);
        self::assertLessThan(10_000, $seen[1]['kilobytes'] - $seen[0]['kilobytes'], 'a third of what one copy per request would take');
        self::assertSame('', $fpm->crashes());
    }

    /** @return iterable<string, array{string}> */
    public static function jumps(): iterable
    {
        foreach (['the class of a command', 'the class of a created command', 'the words of a created command', 'the words of an unknown command', 'the words of executeRaw'] as $in) {
            yield $in => [$in];
        }
    }
}
