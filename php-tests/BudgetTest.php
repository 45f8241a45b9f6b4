<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ReplyTimeoutException;
use ResilientRedis\TimeoutException;
use Tests\Support\FpmMaster;
use Tests\Support\RedisTestCase;

/** `request_budget`: all Redis time of one request, with a reserve for what is written when the script is over. */
final class BudgetTest extends RedisTestCase
{
    /** @dataProvider lastWrites */
    public function test_what_is_written_at_the_end_of_a_request_has_a_reserve(string $last, string $key, string $value): void
    {
        self::shared()->command('DEL', 'last', 'session:fixed');
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests', 1, ['resilient_redis.request_budget' => '0.5']));
        foreach (['first', 'second'] as $request) {
            $answer = $fpm->request('budget.php', ['endpoint' => self::shared()->endpoint(), 'last' => $last])->json();
            [$class, $limit, $took] = $answer['spending'];
            self::assertSame([ReplyTimeoutException::class, 'request_budget'], [$class, $limit], self::seen($answer));
            self::assertEqualsWithDelta(0.4, $took, 0.1, "seconds of the $request request: the reserve is a fifth");
            [$class, $limit, $took, $attempts] = $answer['after'];
            self::assertSame([TimeoutException::class, 'request_budget', 0], [$class, $limit, $attempts], self::seen($answer));
            self::assertLessThan(0.05, $took, 'nothing is sent any more');
            self::assertStringContainsString($value, (string) self::shared()->command('GET', $key), 'the reserve was there');
            self::shared()->command('DEL', $key);
        }
        self::assertSame('', $fpm->crashes());
    }

    /** @return iterable<string, array{string, string, string}> */
    public static function lastWrites(): iterable
    {
        yield 'a shutdown function' => ['shutdown function', 'last', 'shutdown function'];
        yield 'a destructor' => ['destructor', 'last', 'destructor'];
        yield 'a session, written by a shutdown function' => ['session', 'session:fixed', 'session'];
        yield 'a session, written after all others' => ['session, late', 'session:fixed', 'session, late'];
    }

    public function test_on_the_command_line_the_request_is_the_run_of_the_program(): void
    {
        $code = <<<'PHP'
            $redis = new ResilientRedis($argv[1], ['request_budget' => 0.5]);
            try {
                $redis->blpop('nothing', 30);
            } catch (ResilientRedis\TimeoutException $exception) {
                echo $exception->getLimit(), ' ';
            }
            try {
                $redis->get('k');
            } catch (ResilientRedis\TimeoutException $exception) {
                echo $exception->getLimit(), ' ', $exception->getAttempts(), ' ';
            }
            register_shutdown_function(fn () => print($redis->get('k') ?? 'nil'));
            PHP;
        $command = [PHP_BINARY, '-n', '-d', 'extension=' . Support\Extension::path(), '-r', $code, self::shared()->endpoint()];
        exec(implode(' ', array_map('escapeshellarg', $command)), $lines, $status);
        self::assertSame([0, 'request_budget request_budget 0 nil'], [$status, implode("\n", $lines)]);
    }

    public function test_a_budget_that_is_not_used_up_is_not_noticed(): void
    {
        $redis = new ResilientRedis(self::shared()->endpoint(), ['request_budget' => 60]);
        for ($i = 1; $i <= 200; $i++) {
            self::assertSame($i, $redis->incr('n'));
        }
    }

    /** @dataProvider environments */
    public function test_commands_wait_less_where_somebody_waits_for_them(string $variable, array $ini, string $expected): void
    {
        $command = array_merge([PHP_BINARY, '-n', '-d', 'extension=' . Support\Extension::path()], $ini, ['--ri', Support\Extension::NAME]);
        exec("$variable " . implode(' ', array_map('escapeshellarg', $command)), $lines, $status);
        self::assertSame(0, $status);
        self::assertContains("Limit of a command here (command_timeout) => $expected", $lines);
    }

    /** @return iterable<string, array{string, list<string>, string}> */
    public static function environments(): iterable
    {
        yield 'command line' => ['', [], '10 s'];
        yield 'Lambda' => ['AWS_LAMBDA_FUNCTION_NAME=f', [], '5 s'];
        yield 'Lambda by its runtime' => ['AWS_LAMBDA_RUNTIME_API=127.0.0.1:1', [], '5 s'];
        yield 'Lambda with a value of its own' => ['AWS_LAMBDA_FUNCTION_NAME=f', ['-d', 'resilient_redis.command_timeout=1.5'], '1.5 s'];
    }

    public function test_commands_of_fpm_wait_less(): void
    {
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests'));
        self::assertMatchesRegularExpression('/Limit of a command here \(command_timeout\) => 5 s/', $fpm->request('info.php')->body);
    }
}
