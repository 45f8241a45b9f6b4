<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\Extension;
use Tests\Support\FpmMaster;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

/**
 * PHP may give up in the middle of building a reply, at any allocation. Memory is made just too small in small steps: every
 * run ends in PHP's own fatal error or in a whole reply, and what the worker does next is right.
 */
final class MemoryLimitTest extends RedisTestCase
{
    private const SCRIPTS = __DIR__ . '/Fixtures/requests';

    public static function setUpBeforeClass(): void
    {
        $server = self::shared();
        for ($i = 0; $i < 400; $i++) {
            $server->command('RPUSH', 'list', "item $i " . str_repeat(chr(65 + $i % 26), $i * $i % 1_500));
            $server->command('HSET', 'hash', "field $i", str_repeat('v', $i % 300));
        }
        $server->command('SET', 'huge', str_repeat('0123456789', 320_000));
        $server->command('SET', 'vast', str_repeat('0123456789', 4_000_000));
        for ($i = 0; $i < 60; $i++) {
            $server->command('RPUSH', 'long list', str_repeat("$i,", 50_000));
        }
    }

    /** The shared server keeps its data: it is only read. */
    protected function setUp(): void
    {
        \ResilientRedis::resetPools();
    }

    /**
     * Room for the reply in pages of memory, from none to enough.
     *
     * @dataProvider replies
     */
    public function test_a_worker_survives_every_shortage_of_pages(string $reply): void
    {
        $steps = [];
        for ($pages = 0; $pages <= 420; $pages += $pages < 120 ? 1 : 4) {
            $steps[] = ['pages' => $pages, 'small' => $pages * 13 % 50];
        }
        $this->stepInFpm($reply, $steps);
    }

    /** @return iterable<string, array{string}> */
    public static function replies(): iterable
    {
        yield 'a list of strings' => ['list'];
        yield 'an associative array' => ['hash'];
        yield 'arrays in arrays' => ['nested'];
        yield 'a transaction' => ['transaction'];
        yield 'a pipeline' => ['pipeline'];
        yield 'an atomic pipeline' => ['atomic pipeline'];
    }

    /**
     * Room for the reply by memory_limit itself, from too little to enough.
     *
     * @dataProvider largeReplies
     */
    public function test_a_worker_survives_every_memory_limit(string $reply, int $most, int $step): void
    {
        $steps = [];
        for ($extra = 0; $extra <= $most; $extra += $step) {
            $steps[] = ['extra' => $extra];
        }
        $this->stepInFpm($reply, $steps);
    }

    /** @return iterable<string, array{string, int, int}> */
    public static function largeReplies(): iterable
    {
        yield 'one string of 3.2 MB' => ['huge', 10 << 20, 128 << 10];
        yield 'one string of 40 MB, whose room grows with what has come' => ['vast', 100 << 20, 4 << 20];
        yield 'sixty strings of 150 KB' => ['long list', 24 << 20, 512 << 10];
    }

    /** @dataProvider replies */
    public function test_a_command_line_process_ends_by_php_s_own_error_or_with_the_whole_reply(string $reply): void
    {
        $whole = $this->inProcess($reply, [])['output'];
        self::assertStringContainsString('whole', $whole);
        $ends = ['fatal' => 0, 'whole' => 0];
        for ($pages = 0; $pages <= 420; $pages += 35) {
            $run = $this->inProcess($reply, ['pages' => $pages, 'small' => $pages]);
            $seen = "$pages pages: exit code {$run['code']}: {$run['output']}";
            if ($run['code'] === 0) {
                self::assertSame($whole, $run['output'], $seen);
                $ends['whole']++;
            } else {
                self::assertSame(255, $run['code'], $seen);
                self::assertStringContainsString('Allowed memory size of', $run['output'], $seen);
                $ends['fatal']++;
            }
        }
        self::assertGreaterThan(0, min($ends), self::seen($ends));
    }

    public function test_a_pipeline_that_met_the_limit_is_not_sent_a_second_time_by_what_runs_after_it(): void
    {
        self::shared()->command('DEL', 'n');
        $run = Process::run(Extension::php(__DIR__ . '/Fixtures/after-shortage.php', ['memory_limit' => '16M'], self::shared()->endpoint()));
        self::assertSame(255, $run->wait(), $run->output());
        self::assertStringContainsString('Allowed memory size of', $run->output());
        self::assertStringEndsWith('[1,[],"1"]', $run->output(), 'the replies of a second execute(), and what was counted');
    }

    /** @param list<array<string, int>> $steps */
    private function stepInFpm(string $reply, array $steps): void
    {
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(self::SCRIPTS));
        $query = ['endpoint' => self::shared()->endpoint(), 'reply' => $reply];
        $whole = $fpm->request('memory.php', $query)->body;
        self::assertMatchesRegularExpression('/^reading\nwhole [0-9a-f]{40}$/', $whole);
        $worker = $fpm->request('next.php', $query + ['token' => 'first'])->json()['worker'];

        $ends = ['fatal before reading' => 0, 'fatal' => 0, 'whole' => 0];
        $gaveUp = 0;
        foreach ($steps as $number => $step) {
            try {
                $answer = $fpm->request('memory.php', $query + $step)->body;
            } catch (\RuntimeException $gone) {
                // A thread-safe PHP goes back to its folder after a script, which takes memory outside of all that catches a
                // jump; php-fpm's worker then ends itself, with this code and without a word.
                self::assertTrue((bool) PHP_ZTS, self::seen($step) . ': ' . $gone->getMessage());
                $ended = ++$gaveUp;
                Wait::until("worker $ended has ended itself", static fn (): bool => substr_count($fpm->log(), 'exited with code 70 ') === $ended);
                $ends['fatal']++;
                $worker = $fpm->request('next.php', $query + ['token' => 'first'])->json()['worker'];
                continue;
            }
            $seen = self::seen($step) . ": $answer";
            if (str_contains($answer, 'Allowed memory size of')) {
                $ends[str_contains($answer, 'reading') ? 'fatal' : 'fatal before reading']++;
                self::assertStringNotContainsString('whole', $answer, $seen);
            } else {
                self::assertSame($whole, $answer, $seen);
                $ends['whole']++;
            }
            $token = "token $number";
            self::assertSame(
                ['worker' => $worker, 'token' => $token, 'transaction' => ['OK', $token], 'database' => 0, 'pong' => 'PONG'],
                $fpm->request('next.php', $query + ['token' => $token])->json(),
                "the request after $seen",
            );
        }
        self::assertSame('', $fpm->crashes());
        self::assertGreaterThan(2, $ends['fatal'], 'shortages that hit the reply: ' . self::seen($ends));
        self::assertGreaterThan(2, $ends['whole'], 'whole replies: ' . self::seen($ends));
    }

    /**
     * @param array<string, int> $step
     * @return array{code: int, output: string}
     */
    private function inProcess(string $reply, array $step): array
    {
        $query = http_build_query(['endpoint' => self::shared()->endpoint(), 'reply' => $reply] + $step);
        $run = Process::run(Extension::php(self::SCRIPTS . '/memory.php', ['display_errors' => '1'], $query));

        return ['code' => $run->wait(), 'output' => $run->output()];
    }
}
